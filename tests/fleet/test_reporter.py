from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from store_parts import device

from edge_sdk.budget.ledger import Ledger
from edge_sdk.budget.limits import parse_budgets
from edge_sdk.budget.usage import Usage
from edge_sdk.config import ReportSettings
from edge_sdk.fleet.answers import ReportedAnswer, unpack_answers
from edge_sdk.fleet.audits import ReportedAudits, unpack_audits
from edge_sdk.fleet.events import unpack_events
from edge_sdk.fleet.health import HealthReader
from edge_sdk.fleet.reporter import FILE, MOST_ROWS, Reporter
from edge_sdk.store.audits import AuditCounts
from edge_sdk.store.events import put
from edge_sdk.store.schema import FrameRecord, State
from edge_sdk.store.store import Store
from edge_sdk.testing import FakeClock
from edge_sdk.types import Event
from edge_sdk.wire import offload_pb2 as wire

DAY_S = 86_400.0


class Home:
    """A device's store, ledger and reporter, and a server that takes what it is sent."""

    def __init__(self, folder: Path, clock: FakeClock, budget: str | None = None, **settings: object) -> None:
        self.clock = clock
        times = {"clock": clock.wall_s, "steady": clock.steady_s, "boot_id": clock.boot_id()}
        self.store = Store(folder, **times)  # type: ignore[arg-type]
        self.ledger = Ledger(folder / "ledger.db", budgets=parse_budgets(budget), **times)  # type: ignore[arg-type]
        self.reporter = Reporter(
            ReportSettings(**settings),  # type: ignore[arg-type]
            self.store,
            self.ledger,
            lambda: Usage(frames=5, exits=4),
            HealthReader(folder, "trailcam 3", clock.wall_s, root=folder),
            folder,
            audits=lambda: self.audits,
        )
        self.audits: tuple[AuditCounts, ...] = ()
        self.words: list[str] = []

    def __enter__(self) -> Home:
        return self

    def __exit__(self, *_: object) -> None:
        self.store.close()
        self.ledger.close()

    def answered(self, *numbers: int) -> None:
        for number in numbers:
            self.store.exit(FrameRecord(device(f"{number:032x}"), model="trailcam 3"))

    def next(self, *, riding: bool = True) -> wire.ReportRequest | None:
        content = self.reporter.next(riding=riding, overhead=500)
        if not content:
            return None
        assert self.reporter.begins(len(content) + 500)
        return wire.ReportRequest.FromString(content)

    def taken(self, request: wire.ReportRequest) -> list[ReportedAnswer]:
        """The server keeps a report; its answers."""
        self.words[request.first_word :] = request.words
        self.reporter.replied(wire.ReportReply(taken=True, words_known=len(self.words)).SerializeToString())
        return unpack_answers(request.answers, self.words)


def ids(answers: list[ReportedAnswer]) -> list[int]:
    return [int(one.frame_id, 16) for one in answers]


def test_answers_are_reported_once_when_the_reply_has_come(tmp_path: Path) -> None:
    with Home(tmp_path, FakeClock()) as home:
        home.answered(1, 2)
        first = home.next()
        assert first is not None
        home.reporter.failed("no reply")
        again = home.next(riding=False)
        assert again is not None
        assert ids(home.taken(again)) == [2, 1]
        home.answered(3)
        later = home.next()
        assert later is not None
        assert ids(home.taken(later)) == [3]
        assert not later.words  # all of them are known
        assert home.next() is None


def test_events_come_with_it_and_are_reported_once(tmp_path: Path) -> None:
    began = datetime(2026, 6, 1, tzinfo=UTC)
    one = Event("a" * 32, "cards/day1/IMG_1.JPG", began, began + timedelta(seconds=9), 3, "fox", 1.0, "a" * 32)
    with Home(tmp_path, FakeClock()) as home:
        home.store._table.change(put(one, State.FINAL, 0, ended=True, model="trailcam 3", audit=True, audit_chance=0.1))
        request = home.next()
        assert request is not None
        home.taken(request)
        (event,) = unpack_events(request.events, home.words)
        assert (event.event_id, event.source, event.frames, event.label) == ("a" * 32, "cards/day1", 3, "fox")
        assert event.audit
        home.reporter.ask()
        again = home.next()
        assert again is not None and not again.events.event_ids


def test_usage_and_health_come_with_it(tmp_path: Path) -> None:
    with Home(tmp_path, FakeClock()) as home:
        request = home.next(riding=False)
        assert request is not None
        assert (request.usage.frames, request.usage.exits, request.usage.waiting) == (5, 4, 0)
        assert request.sent_ms == 1_800_000_000_000
        assert "trailcam 3" in request.words
        assert request.health.disk_free > 0


def test_what_is_known_outlives_a_restart(tmp_path: Path) -> None:
    clock = FakeClock()
    with Home(tmp_path, clock) as home:
        home.answered(1)
        request = home.next()
        assert request is not None
        home.taken(request)
        words = home.words
    with Home(tmp_path, clock) as home:
        home.answered(2)
        home.words = words
        clock.pass_s(900)
        assert home.reporter.wait_s(riding=True) == 0
        request = home.next()
        assert request is not None
        assert (request.first_word, list(request.words)) == (len(words), [])
        assert ids(home.taken(request)) == [2]


def test_it_is_due_on_a_connection_at_once_and_then_now_and_then(tmp_path: Path) -> None:
    clock = FakeClock()
    with Home(tmp_path, clock, riding_s=900, every_s=DAY_S) as home:
        assert home.reporter.wait_s(riding=True) == 0
        assert home.reporter.wait_s(riding=False) == 600
        request = home.next()
        assert request is not None
        home.taken(request)
        assert home.reporter.wait_s(riding=True) == 900
        assert home.reporter.wait_s(riding=False) == DAY_S
        clock.pass_s(900)
        assert home.reporter.wait_s(riding=True) == 0
        assert home.next() is None  # there is nothing to tell
        assert home.reporter.wait_s(riding=True) == 900
        home.reporter.ask()
        assert home.reporter.wait_s(riding=True) == home.reporter.wait_s(riding=False) == 0
        assert home.next() is not None
        assert home.reporter.wait_s(riding=False) == DAY_S


def test_a_failure_is_tried_again_after_pauses_that_grow_to_a_day(tmp_path: Path) -> None:
    clock = FakeClock()
    waits = []
    with Home(tmp_path, clock) as home:
        for _ in range(9):
            assert home.reporter.begins(10)
            home.reporter.failed("the network\nis gone")
            waits.append(home.reporter.wait_s(riding=False))
            clock.pass_s(waits[-1])
        assert home.reporter.wait_s(riding=True) == 0
    assert waits == [3600, 7200, 14_400, 28_800, 57_600, DAY_S, DAY_S, DAY_S, DAY_S]


def test_a_server_that_takes_no_reports_is_asked_again_in_a_day_and_only_where_frames_go_there(tmp_path: Path) -> None:
    clock = FakeClock()
    with Home(tmp_path, clock) as home:
        assert home.next() is not None
        home.reporter.replied(None)
        assert home.reporter.wait_s(riding=True) == DAY_S
        assert home.reporter.wait_s(riding=False) == math.inf
    with Home(tmp_path, clock) as home:
        assert home.reporter.wait_s(riding=False) == math.inf
        clock.pass_s(DAY_S)
        assert home.reporter.wait_s(riding=True) == 0
        request = home.next()
        assert request is not None
        home.taken(request)
        assert home.reporter.wait_s(riding=False) == DAY_S


def test_a_server_that_forgot_the_words_is_told_them_at_once_but_not_for_ever(tmp_path: Path) -> None:
    with Home(tmp_path, FakeClock()) as home:
        home.answered(1)
        request = home.next()
        assert request is not None
        home.taken(request)
        home.answered(2)
        forgot = wire.ReportReply(words_known=0).SerializeToString()
        for due in (True, False):
            assert home.next(riding=False) is not None
            home.reporter.replied(forgot)
            assert (home.reporter.wait_s(riding=True) == 0) is due
        request = home.next(riding=False)
        assert request is not None
        assert request.first_word == 0 and len(request.words) >= 4
        home.words = []
        assert ids(home.taken(request)) == [2]


def test_more_answers_than_a_report_holds_follow_at_once(tmp_path: Path) -> None:
    with Home(tmp_path, FakeClock(), most_bytes_per_day=100_000) as home:
        home.answered(*range(1, MOST_ROWS + 12))
        request = home.next()
        assert request is not None
        assert len(home.taken(request)) == MOST_ROWS
        assert home.reporter.wait_s(riding=True) == 0
        request = home.next()
        assert request is not None
        assert ids(home.taken(request)) == list(range(11, 0, -1))
        assert home.reporter.wait_s(riding=True) == 900


def test_a_day_costs_what_it_may_and_no_more(tmp_path: Path) -> None:
    clock = FakeClock()
    cost = 0
    with Home(tmp_path, clock, most_bytes_per_day=5_000, riding_s=60) as home:
        home.answered(*range(1, 2_000))
        for _ in range(100):
            content = home.reporter.next(riding=True, overhead=500)
            if home.reporter.pause_s(len(content) + 500) == 0:
                assert home.reporter.begins(len(content) + 500)
                cost += len(content) + 500
                home.taken(wire.ReportRequest.FromString(content))
            clock.pass_s(60)
        assert 3_000 < cost <= 5_000
        assert 0 < home.reporter.pause_s(1_000) <= DAY_S
        clock.pass_s(DAY_S)
        assert home.reporter.pause_s(1_000) == 0


def test_a_restart_gives_no_new_day(tmp_path: Path) -> None:
    clock = FakeClock()
    for _ in range(3):
        with Home(tmp_path, clock, most_bytes_per_day=5_000) as home:
            if home.reporter.pause_s(2_000) == 0:
                home.reporter.begins(2_000)
        clock.reboot()
    with Home(tmp_path, clock, most_bytes_per_day=5_000) as home:
        assert home.reporter.pause_s(1_001) > 0
        assert home.reporter.pause_s(1_000) == 0


def test_reports_take_a_twentieth_of_the_upload_budget_at_the_most(tmp_path: Path) -> None:
    with Home(tmp_path, FakeClock(), budget="100kB/day") as home:
        assert home.reporter.pause_s(5_000) == 0
        assert home.reporter.pause_s(5_001) == math.inf


def test_a_damaged_file_counts_as_a_day_that_is_spent(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / FILE).write_text("{")
    clock = FakeClock()
    with Home(tmp_path, clock) as home:
        assert home.reporter.pause_s(100) > 0
        assert "cannot be read" in caplog.text
        clock.pass_s(DAY_S + 1)
        assert home.reporter.pause_s(100) == 0


def test_nothing_leaves_that_cannot_be_written_down(tmp_path: Path) -> None:
    with Home(tmp_path, FakeClock()) as home:
        (tmp_path / FILE).mkdir()
        assert not home.reporter.begins(100)


@pytest.mark.parametrize("reply", [b"\xff\xff", wire.ReportReply(words_known=10**6).SerializeToString()])
def test_a_reply_that_makes_no_sense_marks_nothing(tmp_path: Path, reply: bytes) -> None:
    with Home(tmp_path, FakeClock()) as home:
        home.answered(1)
        assert home.next() is not None
        home.reporter.replied(reply)
        assert len(home.store.unreported.newest(10, 1e9)) == 1
        assert home.reporter.wait_s(riding=True) > 0


def test_answers_and_health_can_be_left_out(tmp_path: Path) -> None:
    with Home(tmp_path, FakeClock(), answers=False, health=False) as home:
        home.answered(1)
        request = home.next(riding=False)
        assert request is not None
        assert not request.answers.id_rest and not request.HasField("health")
        assert request.usage.frames == 5


def test_audits_are_told_when_they_are_new_and_again_where_no_reply_came(tmp_path: Path) -> None:
    with Home(tmp_path, FakeClock()) as home:
        home.audits = (AuditCounts(0.5, 9, 4, 3, 1, 1),)
        assert home.reporter.counts_due
        home.reporter.count()
        assert not home.reporter.counts_due
        first = home.next()
        assert first is not None
        home.reporter.failed("no reply")
        home.answered(1)
        second = home.next()
        assert second is not None and first.audits == second.audits
        home.taken(second)
        assert unpack_audits(second.audits, home.words) == ReportedAudits("trailcam 3", home.audits)
        home.answered(2)
        home.reporter.ask()
        assert home.reporter.counts_due
        home.reporter.count()
        third = home.next()
        assert third is not None and not third.HasField("audits")
