"""Alerts that wait on the disk: order, bounds, damage."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from alert_parts import alert

from edge_sdk.alerts.outbox import Outbox
from edge_sdk.errors import StorageError
from edge_sdk.testing import FakeClock


@contextmanager
def outbox(path: Path, clock: FakeClock | None = None, **settings: float) -> Iterator[Outbox]:
    box = Outbox(path / "alerts.db", clock=clock or FakeClock(), **settings)  # type: ignore[arg-type]
    with closing(box):
        yield box


def texts(box: Outbox, channel: str = "a") -> list[str]:
    found = []
    while (waiting := box.next(channel)) is not None:
        found.append(waiting.alert.text)
        box.done(waiting.number)
    return found


def test_each_channel_gets_each_alert_in_order_also_after_a_restart(tmp_path: Path) -> None:
    with outbox(tmp_path) as box:
        for text in ("one", "two"):
            box.put(alert(text), ["a", "b"])
        assert box.count() == 4
        assert texts(box, "a") == ["one", "two"]
    with outbox(tmp_path) as box:
        assert (box.count("a"), box.count("b")) == (0, 2)
        assert texts(box, "b") == ["one", "two"]


def test_one_that_fails_lets_others_go_first(tmp_path: Path) -> None:
    with outbox(tmp_path) as box:
        for text in ("one", "two"):
            box.put(alert(text), ["a"])
        first = box.next("a")
        assert first is not None
        box.failed(first.number)
        assert texts(box) == ["two", "one"]


def test_over_the_limit_the_oldest_go(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with outbox(tmp_path, most=3) as box:
        for number in range(5):
            box.put(alert(str(number)), ["a", "b"])
        assert box.dropped == 4
        assert texts(box) == ["2", "3", "4"]
    assert caplog.text.count("alerts are given up") == 1


def test_what_waited_too_long_goes_and_a_clock_that_was_not_set_is_no_age(tmp_path: Path) -> None:
    clock = FakeClock()
    with outbox(tmp_path, clock, longest_s=3600) as box:
        box.put(alert("old"), ["a"])
        clock.pass_s(1800)
        box.put(alert("new"), ["a"])
        clock.pass_s(1801)
        assert texts(box) == ["new"]
        assert box.dropped == 1
        clock.set_wall_s(100.0)
        box.put(alert("of 1970"), ["a"])
        clock.set_wall_s(1_800_000_000.0)
        assert texts(box) == ["of 1970"]


def test_a_row_that_is_damaged_is_left_out(tmp_path: Path) -> None:
    with outbox(tmp_path) as box:
        for text in ("one", "two"):
            box.put(alert(text), ["a"])
    with closing(sqlite3.connect(tmp_path / "alerts.db")) as connection:
        connection.execute("UPDATE waiting SET alert = x'00ff' WHERE number = 1")
        connection.commit()
    with outbox(tmp_path) as box:
        assert texts(box) == ["two"]
        assert box.dropped == 1


def test_values_that_are_damaged_are_left_out(tmp_path: Path) -> None:
    with outbox(tmp_path) as box:
        box.put(alert(), ["a"])
    with closing(sqlite3.connect(tmp_path / "alerts.db")) as connection:
        connection.execute("UPDATE waiting SET wall_s = 'x'")
        connection.execute("UPDATE spoken SET wall_s = 'x'")
        connection.commit()
    with outbox(tmp_path) as box:
        assert texts(box) == []
        assert box.spoken() == {}


def test_a_file_that_proves_damaged_while_it_is_read_is_replaced(tmp_path: Path) -> None:
    with outbox(tmp_path) as box:
        box._database.connection.execute("DROP TABLE waiting")
        assert box.next("a") is None
        box.put(alert("new"), ["a"])
        assert texts(box) == ["new"]


def test_a_file_that_is_damaged_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "alerts.db").write_bytes(b"damage" * 1000)
    with outbox(tmp_path) as box:
        box.put(alert("new"), ["a"])
        assert texts(box) == ["new"]


def test_what_rules_said_is_known_after_a_restart(tmp_path: Path) -> None:
    clock = FakeClock()
    with outbox(tmp_path, clock) as box:
        box.put(alert(rule="fox"), ["a"])
        clock.pass_s(60)
        box.put(alert(rule="fox"), ["a"])
        box.put(alert(rule="deer"), ["a"])
    clock.pass_s(10)
    with outbox(tmp_path, clock) as box:
        assert box.spoken() == {"fox": [70.0, 10.0], "deer": [10.0]}
        clock.set_wall_s(0.0)
        assert box.spoken() == {"fox": [0.0, 0.0], "deer": [0.0]}


def test_a_closed_one_stays_closed(tmp_path: Path) -> None:
    with outbox(tmp_path) as box:
        pass
    for use in (box.count, lambda: box.put(alert(), ["a"]), lambda: box.next("a"), lambda: box.failed(1), box.spoken):
        with pytest.raises(StorageError, match="is closed"):
            use()


def test_it_belongs_to_one_process(tmp_path: Path) -> None:
    with outbox(tmp_path), pytest.raises(StorageError, match="another process holds it"), outbox(tmp_path):
        pass
