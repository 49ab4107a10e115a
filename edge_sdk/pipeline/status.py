"""What can be asked of an `EdgeClassifier`: what it did and spent, what waits, and how the link is."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

from edge_sdk.archive_rule import ArchiveRule
from edge_sdk.budget.ledger import Ledger
from edge_sdk.budget.usage import Usage
from edge_sdk.durable.forks import Owner
from edge_sdk.model.bundle import Bundle
from edge_sdk.model.drift import Drift, check_policy
from edge_sdk.model.evidence import Evidence, weigh
from edge_sdk.pipeline.assembly import Parts, answers_events, looks_near
from edge_sdk.pipeline.remote import sentences
from edge_sdk.pipeline.settings import Settings, check_wait
from edge_sdk.pipeline.walk import Walk
from edge_sdk.store.done_files import DoneFiles
from edge_sdk.store.journal import Journal
from edge_sdk.types import Answer, Event, LinkState

_HOPELESS = frozenset({LinkState.OFF, LinkState.MISMATCH, LinkState.DENIED, LinkState.BUDGET, LinkState.SAVING})


class Status:
    """The part of an `EdgeClassifier` that answers questions; it is not made by itself.

    Attributes:
        bundle: the little model's bundle.
    """

    bundle: Bundle
    _owner: Owner
    _open: Parts
    _walk: Walk
    _settings: Settings
    _start: Usage

    @property
    def _parts(self) -> Parts:
        """What is open; a forked child may not use it."""
        self._owner.check()
        return self._open

    def late_answers(self, wait_s: float = 0.0) -> Iterator[Answer]:
        """The late answers that have come, each once, in the order of their coming.

        Args:
            wait_s: go on waiting for more, this long in all, while frames wait for a cloud that may answer: not where
                none was named, its labels do not fit, or a budget is spent.
        """
        return self._parts.late.each(check_wait(wait_s), self._hopeful)

    def late_answers_async(self, wait_s: float = 0.0) -> AsyncIterator[Answer]:
        """As `late_answers`, for `async for`."""
        return self._parts.late.each_async(check_wait(wait_s), self._hopeful)

    def events(self, wait_s: float = 0.0) -> Iterator[Event]:
        """The events that were decided or revised since the last call, in the order in which that happened.

        An event comes when it is decided, and again with each later word on it, of a higher `revision`. It is over, and
        decided then at the latest, where a later frame of its camera says so, `EventSettings.gap_s` after its latest
        frame if none comes, with the camera that `watch` reads, and with `close`.

        Args:
            wait_s: go on waiting for more, this long in all, while events are open or `late_answers` would wait.
        """
        parts, wait_s = self._parts, check_wait(wait_s)
        self._walk.advance()
        return parts.event_news.each(wait_s, self._eventful)

    def events_async(self, wait_s: float = 0.0) -> AsyncIterator[Event]:
        """As `events`, for `async for`."""
        return self._parts.event_news.each_async(check_wait(wait_s), self._eventful)

    def listen(self, listener: Callable[[Answer], None]) -> Callable[[], None]:
        """Call `listener` with every answer from now on: the device's, and each later last word on a frame.

        Of an event that is answered as a whole, it is called with the last word in the form of an answer on the frame
        that stands for it (`Answer.event` is the event); its frames' answers before that are not final. Of an audited
        event it is called with the device's word at once too.

        It is called on the thread that gives the answer, the loop's, that of the events or the link's: return quickly.

        Returns:
            A function that ends the calls.
        """
        return self._parts.answers.listen(listener)

    def report(self) -> None:
        """Tell the server of this device now, as far as the budgets allow, and not only when a report is due.

        Returns at once; nothing happens where reports are off or no cloud is named.
        """
        if self._parts.reporter is not None:
            self._parts.reporter.ask()

    def _hopeful(self) -> bool:
        return (self.waiting > 0 and self.link not in _HOPELESS) or self._parts.answers.settling

    def _eventful(self) -> bool:
        return len(self._parts.events) > 0 or self._hopeful()

    @property
    def settings_from(self) -> tuple[str, ...]:
        """What holds of the server's settings (`remote`), and what is not followed and why, in words."""
        return tuple(sentences(self._parts.remote.held))

    @property
    def threshold(self) -> float | None:
        """The confidence at or above which a frame exits; None where the bundle's learned gate decides.

        Where events are answered as a whole, that of an event; else, with a gate, that of a frame with a region.
        """
        rules = self._walk.rules
        if self.answers_events:
            return rules.events.threshold
        near = self._settings.gate is not None and looks_near(self._settings, self.bundle)
        return rules.exits(near).threshold

    @property
    def usage(self) -> Usage:
        """What this run did and spent: exit ratio, bytes, multiply-accumulates; and the budgets, as they stand now."""
        return self.lifetime_usage.since(self._start)

    @property
    def lifetime_usage(self) -> Usage:
        """As `usage`, counted since the state folder's first day."""
        return self._parts.answers.account()

    @property
    def ledger(self) -> Ledger:
        """The account of the budgets: charge what your program sends beside the SDK over the same metered link."""
        return self._parts.ledger

    @property
    def state_dir(self) -> Path:
        """Folder of what survives a restart."""
        return self._parts.state

    @property
    def counts_interface(self) -> bool:
        """Whether all bytes of a network interface count against the upload budget (`UplinkSettings.interface`)."""
        return self._parts.link is not None and self._settings.uplink.interface is not None

    @property
    def hides(self) -> bool:
        """Whether `blur` or the archive's rule keeps some pictures from being recognised, or from any disk."""
        return self._walk.hides

    @property
    def archive_rule(self) -> ArchiveRule | None:
        """Which pictures are kept, as it holds now; None: none are."""
        return self._parts.store.archive.rule

    @property
    def journal(self) -> Journal:
        """Every answer so far."""
        return self._parts.store.journal

    def drift(self, frames: int = 1000) -> Drift | None:
        """Have the frames changed since the bundle was calibrated? None where its policy does not say what was usual.

        Args:
            frames: number of latest frames to compare.
        """
        return check_policy(self.bundle.policy, self.journal.device_confidences(frames))

    def evidence(self) -> Evidence:
        """What the audits say of the frames, and events, that exit, and whether calibration's promise still holds.

        Needs `Preferences.audit` above 0 and a cloud. It is of this version of the bundle alone. Reads the journal:
        three seconds of a desktop processor for each million frames.

        Raises:
            StorageError: the journal cannot be read.
        """
        return weigh(self.journal.audits(self._parts.version), self.bundle.policy)

    @property
    def done_files(self) -> DoneFiles:
        """Which files of cards were done, for a camera's `skip_done`; `watch` hands it to a folder by itself."""
        return self._parts.store.done_files(self._parts.version)

    @property
    def answers_events(self) -> bool:
        """Whether an event exits or offloads as a whole; False: each of its frames does by itself.

        A frame that `classify` gets does by itself in any case, but for `EventSettings(answer_per="event")`.
        """
        return answers_events(self._settings, self.bundle)

    @property
    def waiting(self) -> int:
        """Number of frames that wait for the cloud."""
        return len(self._parts.store.spool)

    @property
    def link(self) -> LinkState:
        """State of the way to the cloud."""
        return self._parts.link.state if self._parts.link else LinkState.OFF

    @property
    def server(self) -> str:
        """The server in use, or that was tried last, `host:port`; empty where no cloud was named."""
        return self._parts.link.target if self._parts.link else ""

    @property
    def link_message(self) -> str:
        """Why the link is as it is; empty when all is well: frames flow to the first of the servers."""
        return self._parts.link.message if self._parts.link else ""
