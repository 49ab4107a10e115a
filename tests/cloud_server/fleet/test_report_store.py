from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cloud_server.fleet.report_store import Report, ReportStore
from edge_sdk.budget.usage import Usage
from edge_sdk.errors import ConfigError, StorageError
from edge_sdk.fleet.answers import ReportedAnswer
from edge_sdk.fleet.events import ReportedEvent
from edge_sdk.fleet.report_file import ReportFile, Status
from edge_sdk.types import Origin, Reason

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


class Time:
    """Seconds since 1970, as a test sets them."""

    def __init__(self) -> None:
        self.now_s = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now_s


def answer(number: int, label: str = "fox") -> ReportedAnswer:
    said = label, 0.5, Origin.DEVICE, Reason.CONFIDENT, label, 0.5
    return ReportedAnswer(
        f"{number:032x}", NOON + timedelta(minutes=number), "cam", "trailcam 3", *said, f"{number:032x}"
    )


def report(*numbers: int, label: str = "fox", usage: Usage | None = None) -> Report:
    return Report(Status(usage=usage or Usage()), [answer(number, label) for number in numbers])


async def test_each_answer_is_kept_once_and_found_by_time(tmp_path: Path) -> None:
    store = ReportStore(tmp_path / "new")
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700
    await store.keep("cam-1", report(3, 1))
    await store.keep("cam-1", report(1, 2))
    await store.keep("cam-1", report(2, label="deer"))
    found = list(ReportFile(tmp_path / "new").answers())
    assert [(one.frame_id[-1], one.label) for one in found] == [("1", "fox"), ("2", "deer"), ("3", "fox")]
    assert found[0] == answer(1)
    since = ReportFile(tmp_path / "new").answers(
        "cam-1", since=NOON + timedelta(minutes=2), until=NOON + timedelta(minutes=3)
    )
    assert [one.frame_id[-1] for one in since] == ["2"]
    await store.close()


async def test_devices_are_kept_apart(tmp_path: Path) -> None:
    store = ReportStore(tmp_path)
    await store.keep("cam-1", report(1))
    await store.keep("cam-2", report(1, 2))
    await store.close()
    file = ReportFile(tmp_path)
    assert {row.device: row.answers for row in file.devices()} == {"cam-1": 1, "cam-2": 2}
    assert len(list(file.answers("cam-2"))) == 2
    with pytest.raises(ConfigError, match=r"expected the name of one device; .* has cam-1, cam-2"):
        list(file.answers())
    assert list(file.answers("cam-3")) == []


async def test_a_days_exit_ratio_is_of_that_day(tmp_path: Path) -> None:
    clock = Time()
    store = ReportStore(tmp_path, clock=clock)
    for hours, frames, exits in ((0, 100, 50), (13, 150, 90), (26, 200, 140)):
        clock.now_s = 1_800_000_000.0 + hours * 3600
        await store.keep("cam-1", report(usage=Usage(frames=frames, exits=exits)))
    await store.close()
    (row,) = ReportFile(tmp_path).devices()
    assert row.day == (100, 90)
    assert row.status.usage.frames == 200
    assert row.last_ms - row.first_ms == 26 * 3_600_000


async def test_rows_age_and_devices_are_bounded(tmp_path: Path) -> None:
    clock = Time()
    store = ReportStore(tmp_path, rows=3, days=10, devices=2, clock=clock)
    await store.keep("cam-1", report(1, 2))
    await store.keep("cam-2", report(3, 4))
    file = ReportFile(tmp_path)
    assert sum(row.answers for row in file.devices()) == 3
    clock.now_s += 9 * 86_400
    await store.keep("cam-3", report(5))
    assert {row.device for row in file.devices()} == {"cam-2", "cam-3"} or len(file.devices()) == 2
    clock.now_s += 2 * 86_400
    await store.keep("cam-3", report(6))
    assert [row.device for row in file.devices()] == ["cam-3"]
    assert [one.frame_id[-1] for one in file.answers("cam-3")] == ["5", "6"]
    assert list(file.answers("cam-2")) == []
    await store.close()


async def test_words_are_kept_and_a_gap_is_told(tmp_path: Path) -> None:
    store = ReportStore(tmp_path)
    assert await store.words("cam-1", 7, 0, ["fox", "deer"]) == ["fox", "deer"]
    assert await store.words("cam-1", 7, 2, ["boar"]) == ["fox", "deer", "boar"]
    assert await store.words("cam-1", 7, 1, ["deer", "boar", "owl"]) == ["fox", "deer", "boar", "owl"]
    assert await store.words("cam-1", 7, 9, ["wolf"]) == ["fox", "deer", "boar", "owl"]
    assert await store.words("cam-2", 7, 1, []) == []
    await store.close()
    store = ReportStore(tmp_path)
    assert await store.words("cam-1", 7, 4, []) == ["fox", "deer", "boar", "owl"]
    assert await store.words("cam-1", 8, 4, []) == []
    assert await store.words("cam-1", 8, 0, ["owl"]) == ["owl"]
    await store.close()


async def test_a_damaged_file_is_set_aside(tmp_path: Path) -> None:
    store = ReportStore(tmp_path)
    await store.keep("cam-1", report(1))
    await store.close()
    (tmp_path / "reports.db").write_bytes(b"nothing of SQLite's" * 100)
    store = ReportStore(tmp_path)
    assert (tmp_path / "reports.db.damaged").exists()
    await store.keep("cam-1", report(2))
    await store.close()
    assert [one.frame_id[-1] for one in ReportFile(tmp_path).answers()] == ["2"]


async def test_a_folder_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="--reports"):
        ReportStore(tmp_path / "file")
    with pytest.raises(StorageError, match="expected a server's reports"):
        ReportFile(tmp_path)


async def test_events_of_an_older_file_are_not_audits_and_later_ones_may_be(tmp_path: Path) -> None:
    def event(number: int, *, audit: bool = False) -> ReportedEvent:
        known = f"{number:032x}", "cam", NOON + timedelta(minutes=number), NOON + timedelta(minutes=number, seconds=9)
        return ReportedEvent(*known, 3, "fox", 1.0, Origin.DEVICE, Reason.CONFIDENT, audit)

    store = ReportStore(tmp_path)
    await store.keep("cam-1", Report(Status(), [], events=[event(1)]))
    await store.close()
    with closing(sqlite3.connect(tmp_path / "reports.db")) as connection:
        connection.execute("ALTER TABLE events DROP COLUMN audit")
        connection.execute("PRAGMA user_version = 2")
        connection.commit()
    store = ReportStore(tmp_path)
    await store.keep("cam-1", Report(Status(), [], events=[event(2, audit=True)]))
    await store.close()
    assert ReportFile(tmp_path).events("cam-1") == [event(1), event(2, audit=True)]
