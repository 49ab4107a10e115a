"""The report of one run of a loop: shown while it runs, summed up and drawn at its end."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

import grpc
from rich.console import Console
from rich.progress import track

from edge_sdk.errors import EdgeError
from edge_sdk.pipeline.classifier import EdgeClassifier
from edge_sdk.report.contact_sheet import ContactSheet
from edge_sdk.report.display import LoopDisplay
from edge_sdk.report.scorecard import Score, Scorecard
from edge_sdk.report.summary import TILES, RunHistory, draw_summary, summary_table
from edge_sdk.terminal.text import open_console, say
from edge_sdk.types import Answer, Event, Frame

_log = logging.getLogger(__name__)

_ASKING = "asking the big model about all, to compare"


class RunReport:
    """Follows an `EdgeClassifier` through one run. A context manager: the live display shows inside the block.

    Args:
        edge: what to follow.
        title: head of display and picture.
        console: where to print; default: standard output.
    """

    def __init__(self, edge: EdgeClassifier, title: str, console: Console | None = None) -> None:
        self._edge = edge
        self._title = title
        self._console = console or open_console()
        self._start = edge.usage
        self._display = LoopDisplay(edge, title, self._console)
        self._scorecard = Scorecard(edge.bundle)
        self._history = RunHistory()
        self._sheet = ContactSheet()

    def add(self, frame: Frame, answer: Answer) -> None:
        """Record the device's answer on a frame, the last that was answered; it is shown as `blur` lets it be."""
        frame = self._edge.blurred(frame)
        self._display.show(frame, answer)
        self._scorecard.add(frame, answer)
        self._history.add(frame, answer, self._edge.usage.since(self._start))
        self._sheet.see(frame, answer)

    def late(self, answers: Iterable[Answer]) -> None:
        """Record later answers."""
        for answer in answers:
            self._display.late(answer)
            self._scorecard.revise(answer)
            self._history.revise(answer)

    def events(self, events: Iterable[Event]) -> None:
        """Record words on events, as `EdgeClassifier.events` gives them."""
        for event in events:
            self._display.event(event)
            self._sheet.hear(event)
            self._scorecard.hear(event)
            self._history.hear(event)

    def finish(self, picture: Path, *, ask: str | None = None, notes: Iterable[str] = ()) -> Score | None:
        """Print the summary table and draw the picture.

        Args:
            picture: the PNG to write; `events.html`, the contact sheet, is written beside it.
            ask: a server on this machine, `host:port`, that is asked about every frame or event whose truth is known,
                outside all budgets, to compare the cascade with the big model alone; None: it is not compared.
            notes: lines to print below the table; empty ones are left out.

        Returns:
            The accuracies, where the camera knows the truth.
        """
        try:
            if ask:
                self._compare(ask)
        finally:  # also where Ctrl-C ends the comparison
            score = self._conclude(picture, notes)
        return score

    def _compare(self, target: str) -> None:
        """Ask the big model about every frame whose truth is known."""
        try:
            self._scorecard.ask_cloud(target, lambda ids: iter(track(ids, _ASKING, console=self._console)))
        except grpc.RpcError as error:
            _log.warning("the big model alone is not compared: %s", error)

    def _conclude(self, picture: Path, notes: Iterable[str]) -> Score | None:
        account = self._edge.usage.since(self._start)
        self._history.finish(account)
        score = self._scorecard.score()
        link = f"{self._edge.link}{f': {self._edge.link_message}' if self._edge.link_message else ''}"
        self._console.print(summary_table(account, score, self._edge.waiting, link, self._history))
        for note in filter(None, (*self._edge.settings_from, *notes)):
            say(self._console, note)
        drift = self._edge.drift()
        if drift is not None and drift.drifted:
            say(self._console, drift.sentence())
        if (evidence := self._edge.evidence()).drawn:
            say(self._console, f"audits: {evidence.sentence()}")
        try:
            draw_summary(
                picture, self._history, account, score, self._edge.threshold, self._title, self._sheet.chosen(TILES)
            )
            say(self._console, f"picture: {picture}")
        except EdgeError as error:
            say(self._console, f"no picture: {error}")
        self._write_sheet(picture.with_name("events.html"))
        return score

    def _write_sheet(self, page: Path) -> None:
        if not len(self._sheet):
            return
        try:
            self._sheet.write(page, self._title)
            say(self._console, f"events: {page}")
        except EdgeError as error:
            say(self._console, f"no page of events: {error}")

    def __enter__(self) -> Self:
        self._display.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._display.__exit__(kind, error, traceback)
