"""What a person sees while the loop runs: a live panel on a terminal, one plain line per frame elsewhere."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.filesize import decimal
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from edge_sdk.budget.amounts import budget_text, macs_text
from edge_sdk.budget.limits import Resource
from edge_sdk.budget.usage import Usage
from edge_sdk.pipeline.classifier import EdgeClassifier
from edge_sdk.terminal.text import literal, open_console, say
from edge_sdk.types import Answer, Event, Frame, LinkState, Origin

_LINK_STYLE = {
    LinkState.ONLINE: "green",
    LinkState.CONNECTING: "yellow",
    LinkState.OFFLINE: "red",
    LinkState.BUDGET: "yellow",
    LinkState.SAVING: "yellow",
    LinkState.RETRYING: "yellow",
    LinkState.MISMATCH: "red",
    LinkState.DENIED: "red",
    LinkState.OFF: "dim",
}
_LATE_SHOWN = 4
_EVENTS_SHOWN = 4
_BAR_WIDTH = 24
_WIDTH_WITH_BARS = 100


def upload_text(account: Usage) -> str:
    """Bytes sent against the budget: "412 kB of 5 MB/day"."""
    found = account.budget(Resource.UPLOAD)
    return budget_text(found) if found else f"{decimal(account.bytes_sent)}, no limit"


def compute_text(account: Usage) -> str:
    """Multiply-accumulates spent, against the budget and against the big model on every frame."""
    text = macs_text(account.macs_total)
    if account.macs_all_big:
        text += f", {account.macs_total / account.macs_all_big:.0%} of every frame to the big model"
    for resource in (Resource.COMPUTE, Resource.CLOUD, Resource.ENERGY, Resource.FRAMES):
        if found := account.budget(resource):
            text += f"; {budget_text(found)}{' in the cloud' if resource is Resource.CLOUD else ''}"
    return text


def answer_text(answer: Answer) -> str:
    """One answer for people: "deer 0.97 (device, confident)", or "deer 0.97 (cloud, exit blocks.3)"."""
    why = f"{answer.origin}, {answer.reason}"
    if answer.origin is Origin.CLOUD:
        why = f"{answer.origin}, exit {answer.exit}" if answer.exit else answer.origin
    return f"{answer.label or 'no answer'} {answer.confidence:.2f} ({why})"


def event_text(event: Event) -> str:
    """One event for people: "fox 0.97 (device, confident), 14 frames in 6 s"."""
    lasted = (event.ended_at - event.began_at).total_seconds()
    why = event.origin if event.origin is Origin.CLOUD else f"{event.origin}, {event.reason}"
    also = "".join(f", also {label} {chance:.2f}" for label, chance in event.also)
    span = "" if event.frames == 1 else f" in {lasted:.0f} s"
    return f"{event.label} {event.confidence:.2f}{also} ({why}), {frames_text(event.frames)}{span}"


def frames_text(count: int) -> str:
    """How many frames an event has, for people."""
    return f"{count} frame{'' if count == 1 else 's'}"


class LoopDisplay:
    """Shows an `EdgeClassifier` at work. A context manager.

    Args:
        edge: what to show.
        title: the panel's head.
        console: where to print; default: standard output.
    """

    def __init__(self, edge: EdgeClassifier, title: str, console: Console | None = None) -> None:
        self._edge = edge
        self._title = literal(title)
        self._console = console or open_console()
        self._now = ""
        self._late: list[str] = []
        self._events: list[tuple[str, str]] = []
        self._first: dict[str, Answer] = {}
        self._per_event = False
        self._live = (
            Live(console=self._console, refresh_per_second=8, get_renderable=self._render)
            if self._console.is_terminal
            else None
        )

    def show(self, frame: Frame, answer: Answer) -> None:
        """Show the device's answer on a frame."""
        self._per_event |= answer.event is not None and self._edge.answers_events
        if not answer.final:
            self._first[answer.frame_id] = answer
        self._now = f"{frame.captured_at:%Y-%m-%d %H:%M:%S}  {answer_text(answer)}"
        if not self._live:
            account = self._edge.usage
            say(
                self._console,
                f"{self._now}  exits {_exits_text(account, self._per_event)}  sent {upload_text(account)}  "
                f"compute {compute_text(account)}  queue {self._edge.waiting}  link {self._edge.link}",
            )

    def late(self, answer: Answer) -> None:
        """Show a later answer on a frame; of a frame that stands for its event, the event's word is shown."""
        if answer.event is not None:
            return
        first = self._first.pop(answer.frame_id, None)
        before = f", the device said {first.label} {first.confidence:.2f}" if first else ""
        text = f"{answer.captured_at:%Y-%m-%d %H:%M:%S}  {answer_text(answer)}{before}"
        if answer.origin is Origin.CLOUD:
            self._late = [*self._late[1 - _LATE_SHOWN :], text]
        if not self._live:
            say(self._console, text)

    def event(self, event: Event) -> None:
        """Show an event that is decided, or a later word on it."""
        text = f"{event.began_at:%Y-%m-%d %H:%M:%S}  {event_text(event)}"
        lines = [line for line in self._events if line[0] != event.event_id]
        self._events = [*lines, (event.event_id, text)][-_EVENTS_SHOWN:]
        if not self._live:
            say(self._console, f"event  {text}  {event.event_id}")

    def _render(self) -> RenderableType:
        account, edge = self._edge.usage, self._edge
        bars = self._console.width >= _WIDTH_WITH_BARS
        table = Table.grid(padding=(0, 2))
        table.add_column(style="dim", overflow="fold")
        table.add_column(overflow="fold")
        if bars:
            table.add_column(width=_BAR_WIDTH)

        def row(name: str, value: Text | str, share: float | None = None, style: str = "") -> None:
            text = value if isinstance(value, Text) else Text(literal(value))
            table.add_row(name, text, *([_bar(share, style)] if bars else []))

        upload = account.budget(Resource.UPLOAD)
        row("frame", f"{account.frames}  {self._now}")
        ratio = account.event_exit_ratio if self._per_event else account.exit_ratio
        row("exit ratio", _exits_text(account, self._per_event), ratio, "green")
        row("upload", upload_text(account), upload.share if upload else None, "cyan")
        row("compute", compute_text(account), _share(account.macs_total, account.macs_all_big or None), "magenta")
        row("queue", f"{edge.waiting} frames wait for the cloud")
        link = Text(str(edge.link), style=_LINK_STYLE[edge.link])
        row("link", link.append(f"  {literal(edge.link_message)}", style="default") if edge.link_message else link)
        late = Text("\n".join(map(literal, self._late)) or "no answer from the cloud yet", style="dim", overflow="fold")
        events = Text("\n".join(literal(text) for _, text in self._events) or "none has ended yet", overflow="fold")
        return Panel(
            Group(table, Text("events", style="dim"), events, Text("late answers", style="dim"), late),
            title=Text(self._title, overflow="ellipsis"),
            title_align="left",
            border_style="blue",
        )

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()


def _exits_text(account: Usage, per_event: bool) -> str:
    """How much the device answered, of events where they are answered as a whole."""
    if per_event:
        return f"{account.event_exit_ratio:.0%} of {account.events} events" if account.events else "- of 0 events"
    return f"{account.exit_ratio:.0%} of {account.frames} frames"


def _share(part: float, whole: float | None) -> float | None:
    return part / whole if whole else None


def _bar(share: float | None, style: str) -> RenderableType:
    if share is None:
        return ""
    return ProgressBar(
        total=1.0, completed=min(1.0, share), width=_BAR_WIDTH, complete_style=style, finished_style=style
    )
