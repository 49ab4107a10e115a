"""What a device reports and when: a batch of answers, its usage and health, within bytes a day.

A report rides on a connection that frames have opened; where none is open for `every_s`, it opens one. Rows count as
reported when the server's reply says that it keeps them: a crash, or a reply that is lost, sends them once more, and
the server keeps each once. What the day's reports cost is on the disk before a byte of them leaves.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import msgspec

from edge_sdk.budget.ledger import Ledger
from edge_sdk.budget.usage import Usage
from edge_sdk.camera.files import camera_of
from edge_sdk.config import ReportSettings
from edge_sdk.durable.files import write_whole
from edge_sdk.errors import StorageError
from edge_sdk.fleet.allowance import DAY_S, SHARE, Allowance, daily_bytes
from edge_sdk.fleet.answers import AuditedAs, ReportedAnswer, pack_answers
from edge_sdk.fleet.audit_news import AuditNews
from edge_sdk.fleet.audits import ReportedAudits, pack_audits
from edge_sdk.fleet.events import ReportedEvent, pack_events
from edge_sdk.fleet.health import HealthReader
from edge_sdk.fleet.remote import HeldSettings, RemoteStore
from edge_sdk.fleet.status import pack_health, pack_held, pack_usage
from edge_sdk.fleet.words import WordList
from edge_sdk.store.audits import AuditCounts
from edge_sdk.store.events import EventEntry
from edge_sdk.store.schema import JournalEntry
from edge_sdk.terminal.line import one_line
from edge_sdk.types import is_frame_id
from edge_sdk.wire import offload_pb2 as wire

if TYPE_CHECKING:
    from edge_sdk.store.store import Store

_log = logging.getLogger(__name__)

FILE = "reporting.json"
"""In the state folder: the list of words, and what the day's reports cost."""
MOST_ROWS = 400
ROW_BYTES = 26
"""Bytes of one answer or event, estimated from above."""
_MOST_AGE_S = 7 * DAY_S
_FIRST_S = 600.0
_RETRY_S = 3_600.0
_BARE_BYTES = 600  # of a report without answers, the first one's words included


class _State(msgspec.Struct):
    word_list: int = 0
    words: list[str] = []
    known: int = 0
    charges: list[tuple[float, int]] = []
    tried_s: float | None = None
    failures: int = 0
    unsupported: bool = False
    opening: int = 0


class RemoteTaker(Protocol):
    """Takes signed settings, and says which hold."""

    store: RemoteStore

    @property
    def held(self) -> HeldSettings:
        """Which of the server's settings hold."""


class Reporter:
    """Makes reports and takes the replies. Used by the uplink's thread; `ask` from any.

    Args:
        settings: how often, and how many bytes.
        store: has the answers.
        ledger: its clock tells when; its budgets bound what a day may cost.
        usage: the counters since the first day.
        health: reads the device's health.
        state: the state folder.
        remote: takes the settings that come back; None: none are taken.
        audits: counts the audits of the model in service, by chance, which may take seconds; None: there are none.
    """

    def __init__(
        self,
        settings: ReportSettings,
        store: Store,
        ledger: Ledger,
        usage: Callable[[], Usage],
        health: HealthReader,
        state: Path,
        remote: RemoteTaker | None = None,
        audits: Callable[[], Sequence[AuditCounts]] | None = None,
    ) -> None:
        self._settings, self._store, self._ledger = settings, store, ledger
        self._remote = remote
        self._audits = None if audits is None else AuditNews(audits, ledger.elapsed_s)
        self._usage, self._health, self._path = usage, health, state / FILE
        known = _read(self._path)
        self._words = WordList(known.word_list, known.words, known.known)
        self._allowance = Allowance(0, known.charges)
        self._tried_s, self._failures, self._unsupported = known.tried_s, known.failures, known.unsupported
        self._opening, self._size = known.opening, 0
        self._started_s = ledger.elapsed_s()
        self._looked_s = -DAY_S
        self._asked = self._goes_on = self._full = self._has_settings = False
        self._rows: list[int] = []
        self._events: list[str] = []
        self._wake: Callable[[], None] = lambda: None

    def on_ask(self, wake: Callable[[], None]) -> None:
        """Have `wake` called when a report is asked for."""
        self._wake = wake

    def ask(self) -> None:
        """Let the next report leave as soon as the budgets have room for it."""
        self._asked = True
        self._wake()

    def wait_s(self, *, riding: bool) -> float:
        """Seconds until a report is due, on an open connection or not; 0: now."""
        if self._remote is not None:
            self._remote.store.look()
            self._remote.store.remember(self._remote.held)
        if self._asked or (riding and self._goes_on):
            return 0.0
        now_s, settings = self._ledger.elapsed_s(), self._settings
        tried_s = None if self._tried_s is None else min(self._tried_s, now_s)
        if self._unsupported:  # no connection is opened to hear it again
            return float("inf") if not riding or tried_s is None else max(0.0, tried_s + DAY_S - now_s)
        if self._failures:
            pause_s = min(_RETRY_S * 2.0 ** min(self._failures - 1, 20), DAY_S)
            return max(0.0, (now_s if tried_s is None else tried_s) + pause_s - now_s)
        if riding:
            latest_s = max(self._looked_s, -DAY_S if tried_s is None else tried_s)
            return max(0.0, latest_s + settings.riding_s - now_s)
        if tried_s is None:
            return max(0.0, self._started_s + min(settings.every_s, _FIRST_S) - now_s)
        return max(0.0, tried_s + settings.every_s - now_s)

    def pause_s(self, n_bytes: int) -> float:
        """Seconds until the day's bytes have room for `n_bytes`; 0: now, infinity: never."""
        self._bound()
        return self._allowance.wait_s(n_bytes, self._ledger.elapsed_s())

    @property
    def counts_due(self) -> bool:
        """Whether `count` is to be called before the next report is made: once a day, and where one is asked for."""
        return self._audits is not None and self._settings.answers and (self._asked or self._audits.due)

    def count(self) -> None:
        """Count the audits; on any thread, while no other method runs."""
        if self._audits is not None:
            self._audits.count()

    def next(self, *, riding: bool, overhead: int) -> bytes:
        """The next report; empty: there is nothing to tell now.

        Args:
            riding: a connection is open; without news nothing is sent on it.
            overhead: bytes that sending it costs beyond itself.
        """
        now_s = self._ledger.elapsed_s()
        self._bound()
        room = self._allowance.room(now_s) - overhead - _BARE_BYTES
        audits, size = (None, 0) if self._audits is None else self._audits.next(room)
        room -= size
        most = max(0, min(MOST_ROWS, room // ROW_BYTES)) if self._settings.answers else 0
        events = self._newest_events(most)
        found = self._newest(most - len(events))
        self._looked_s, self._goes_on = now_s, False
        overdue = self._tried_s is None or now_s - self._tried_s >= self._settings.every_s
        if riding and not (events or found or audits or self._asked or self._has_settings or overdue):
            return b""
        if self._words.is_full:
            self._words = WordList()
        self._rows = [number for number, _ in found]
        words, rows = self._words, [_reported(entry) for _, entry in found]
        request = wire.ReportRequest(sent_ms=max(0, round(self._health.wall_s() * 1000)))
        self._events = [one.event.event_id for one in events]
        if events:
            request.events.CopyFrom(pack_events([_event(one) for one in events], words))
        if rows:
            request.answers.CopyFrom(pack_answers(rows, words))
        request.usage.CopyFrom(pack_usage(self._usage(), len(self._store.spool)))
        if self._settings.health:
            request.health.CopyFrom(pack_health(self._health.read(), words))
        if audits is not None:
            request.audits.CopyFrom(pack_audits(ReportedAudits(self._health.bundle, audits), words))
        if self._remote is not None:
            request.settings.CopyFrom(pack_held(self._remote.held))
        request.word_list, request.first_word = words.number, words.known
        request.words.extend(words.news)
        self._full = most > 0 and len(rows) + len(events) >= most
        content = request.SerializeToString()
        self._size = len(content)
        return content

    def begins(self, n_bytes: int) -> bool:
        """Charge the day's bytes, on the disk, before a report leaves. False: that cannot be written, nothing leaves.

        Args:
            n_bytes: what it will cost, estimated from above.
        """
        now_s = self._ledger.elapsed_s()
        self._asked = False
        self._tried_s = now_s
        self._allowance.charge(n_bytes, now_s)
        return self._save()

    def opening_bytes(self, from_above: int) -> int:
        """What a connection for reports costs: a fourth more than the latest one that led to a reply, where it is less.

        Args:
            from_above: an estimate from above.
        """
        return min(from_above, round(1.25 * self._opening)) if self._opening else from_above

    def cost(self, n_bytes: int) -> None:
        """What the report, on a connection of its own, has cost in truth."""
        if not self._failures:
            self._opening = max(1, n_bytes - self._size)
        self._allowance.correct(n_bytes)
        self._save()

    def replied(self, content: bytes | None) -> None:
        """Take the server's reply; None: it takes no reports."""
        self._unsupported = content is None
        if content is None:
            _log.info("the server takes no reports; it is asked again in a day, when frames go there")
            return self._kept()
        try:
            reply = wire.ReportReply.FromString(content)
        except Exception as error:  # protobuf's own, of which there are several
            return self.failed(f"the reply cannot be read: {one_line(error)}")
        needed = self._words.known
        self._words.server_knows(reply.words_known)
        if reply.taken:
            self._failures = 0
            if self._audits is not None:
                self._audits.taken()
            self._store.unreported.mark(self._rows)
            self._store.unreported.mark_events(self._events)
            self._has_settings = self._takes(reply.settings)  # what came of them is told at once
            self._goes_on = self._full or self._has_settings
        elif reply.words_known < needed:
            self._goes_on, self._failures = self._failures == 0, self._failures + 1
        else:
            return self.failed("the server did not keep the report")
        return self._kept()

    def failed(self, message: str) -> None:
        """The report has no reply; the rows are sent again, after a pause that grows."""
        self._failures += 1
        level = logging.WARNING if self._failures == 1 else logging.INFO
        _log.log(level, "a report was not taken: %s", one_line(message))
        self._kept()

    def _takes(self, settings: bytes) -> bool:
        """Take settings that came back; whether the server is to be told at once what came of them."""
        if not settings or self._remote is None:
            return False
        before = self._remote.held
        self._remote.store.offer(settings)
        self._remote.store.remember(self._remote.held)
        return self._remote.held != before

    def _kept(self) -> None:
        self._rows, self._events = [], []
        self._save()

    def _bound(self) -> None:
        daily = daily_bytes(self._ledger.budgets)
        most = self._settings.most_bytes_per_day
        self._allowance.most = most if daily is None else min(most, int(SHARE * daily))

    def _newest(self, limit: int) -> list[tuple[int, JournalEntry]]:
        if limit <= 0:
            return []
        try:
            found = self._store.unreported.newest(limit, _MOST_AGE_S)
        except StorageError as error:
            _log.error("answers cannot be reported: %s", error)
            return []
        damaged = [number for number, entry in found if not is_frame_id(entry.answer.frame_id)]
        self._store.unreported.mark(damaged)
        return [(number, entry) for number, entry in found if number not in damaged]

    def _newest_events(self, limit: int) -> list[EventEntry]:
        try:
            return self._store.unreported.newest_events(limit) if limit > 0 else []
        except StorageError as error:
            _log.error("events cannot be reported: %s", error)
            return []

    def _save(self) -> bool:
        words = self._words
        state = _State(
            words.number,
            words.words,
            words.known,
            self._allowance.charges,
            self._tried_s,
            self._failures,
            self._unsupported,
            self._opening,
        )
        try:
            write_whole(self._path, msgspec.json.encode(state), durable=True)
        except OSError as error:
            _log.error("reports wait: %s cannot be written: %s", self._path, error)
            return False
        return True


def _reported(entry: JournalEntry) -> ReportedAnswer:
    last, device = entry.answer, entry.device
    return ReportedAnswer(
        frame_id=last.frame_id,
        captured_at=last.captured_at,
        source=camera_of(last.source),
        model=entry.model,
        label=last.label,
        confidence=last.confidence,
        origin=last.origin,
        reason=last.reason,
        device_label=device.label,
        device_confidence=device.confidence,
        event_id=entry.event if is_frame_id(entry.event) else last.frame_id,
        audit=entry.audit,
        audited=_audited(entry),
    )


def _audited(entry: JournalEntry) -> AuditedAs | None:
    """What an audit counts for, classes only where they are not the labels."""
    if not (entry.audit and entry.audit_chance):
        return None
    device = entry.event_class or (entry.top_k[0][0] if entry.top_k else "")
    cloud = entry.cloud_top_k[0][0] if entry.cloud is not None and entry.cloud_top_k else ""
    return AuditedAs(
        entry.audit_chance,
        "" if device == entry.device.label else device,
        "" if entry.cloud is None or cloud == entry.cloud.label else cloud,
        entry.event_class is not None,
    )


def _event(entry: EventEntry) -> ReportedEvent:
    event = entry.event
    return ReportedEvent(
        event_id=event.event_id,
        source=camera_of(event.source),
        began_at=event.began_at,
        ended_at=event.ended_at,
        frames=max(0, event.frames),
        label=str(event.label) or None,
        confidence=event.confidence,
        origin=event.origin,
        reason=event.reason,
        audit=entry.audit,
    )


def _read(path: Path) -> _State:
    """What an earlier run left; a damaged file counts as a day that is spent."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=_State)
    except FileNotFoundError:
        return _State()
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        _log.warning("%s cannot be read, the day's bytes for reports count as spent: %s", path, error)
        return _State(charges=[(1e300, 1 << 40)])
