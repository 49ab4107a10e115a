from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from fleet_parts import answer, event

from cloud_server.fleet.report_store import Report, ReportStore
from cloud_server.fleet.tallies import FRESH_S, Tallies
from edge_sdk.fleet.report_file import Status, Tally
from edge_sdk.types import new_frame_id

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


async def test_audits_and_events_of_the_last_day(tmp_path: Path) -> None:
    now = [NOW.timestamp()]
    tallies = Tallies(tmp_path, clock=lambda: now[0])
    assert tallies.read() == {}
    store = ReportStore(tmp_path)
    answers = [
        answer(new_frame_id(), NOW, label, "fox", audit=audit)
        for label, audit in (("fox", True), ("deer", True), ("deer", False))
    ]
    events = [event(new_frame_id(), NOW - timedelta(hours=hours), "fox") for hours in (1, 2, 30)]
    await store.keep("cam-1", Report(Status(), answers, events))
    assert tallies.read() == {"cam-1": Tally(audits=2, answered=2, differ=1, events={"fox": 2})}
    await store.keep("cam-2", Report(Status(), [], events))
    assert "cam-2" not in tallies.read()
    now[0] += FRESH_S
    assert tallies.read()["cam-2"] == Tally(events={"fox": 2})
    await store.close()
