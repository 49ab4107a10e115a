from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from fleet_parts import answer
from sqlalchemy import Engine

from cloud_server.fleet.database.reports import SharedReports
from cloud_server.fleet.report_queries import ReportQueries
from cloud_server.fleet.report_store import Report, ReportStore
from cloud_server.fleet.seams import Reports
from edge_sdk.budget.usage import Usage
from edge_sdk.fleet.health import Health
from edge_sdk.fleet.report_file import Status
from edge_sdk.types import new_frame_id

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)


async def asked_of(store: Reports, queries: ReportQueries, now: list[float]) -> None:
    frames = [new_frame_id() for _ in range(3)]
    rows = [
        answer(frame_id, NOON - timedelta(minutes=number), "fox", "deer" if number else "fox", audit=number == 2)
        for number, frame_id in enumerate(frames)
    ]
    for hours, device in ((0, "cam-1"), (10, "cam-2"), (20, "cam-1"), (30, "cam-1")):
        now[0] = NOON.timestamp() + hours * 3600
        health = Health(celsius=40.0 + hours, own={"battery": 0.5} if hours else {})
        status = Status(usage=Usage(frames=10 * hours, exits=9 * hours, bytes_sent=hours), waiting=hours, health=health)
        await store.keep(device, Report(status, rows[:2] if hours == 0 else rows[2:] if hours == 10 else []))
    latest = queries.latest(10)
    assert [one.frame_id for one in latest] == frames
    assert [(one.device, one.differs, one.audit) for one in latest] == [
        ("cam-1", False, False),
        ("cam-1", True, False),
        ("cam-2", True, True),
    ]
    assert latest[0].captured_at == NOON
    assert queries.latest(1, before=latest[0].place) == [latest[1]]
    assert queries.latest(9, before=latest[1].place) == [latest[2]]
    assert queries.latest(1, after=latest[2].place) == [latest[1]]
    assert queries.latest(9, after=latest[2].place) == latest[:2]
    assert queries.latest(9, device="cam-1", before=latest[0].place) == [latest[1]]
    assert [one.frame_id for one in queries.latest(1, device="cam-1")] == [frames[0]]
    assert queries.latest(10, only_cloud=True) == latest
    assert queries.latest(10, only_audits=True) == queries.latest(10, device="cam-2", only_audits=True) == latest[2:]
    assert queries.frame("cam-1", frames[0]) == latest[0]
    assert queries.frame("cam-2", frames[0]) is None
    since_ms = round((NOON.timestamp() + 25 * 3600) * 1000)
    history = queries.history("cam-1", since_ms)  # with the one before, for the difference
    assert [(one.frames, one.waiting, one.celsius, one.battery) for one in history] == [
        (200, 20, 60.0, 0.5),
        (300, 30, 70.0, 0.5),
    ]
    assert len(queries.history("cam-1", 0)) == 3
    assert queries.history("none", 0) == []
    await store.close()


async def test_of_the_file(tmp_path: Path) -> None:
    now = [0.0]
    store = ReportStore(tmp_path, clock=lambda: now[0])
    await asked_of(store, ReportQueries(tmp_path), now)


async def test_of_a_shared_database(shared: Engine) -> None:
    now = [0.0]
    url = shared.url.set(drivername="postgresql").render_as_string(hide_password=False)
    await asked_of(SharedReports(shared, clock=lambda: now[0]), ReportQueries(url), now)
