from __future__ import annotations

from pathlib import Path

from report_parts import report_of

from cloud_server.fleet.report_pages import ReportPages
from cloud_server.fleet.report_store import ReportStore
from edge_sdk.fleet.report_file import FILE
from edge_sdk.fleet.report_rows import rows_of


async def test_pages_go_on_after_a_number(tmp_path: Path) -> None:
    store = ReportStore(tmp_path)
    await store.keep("cam-1", report_of(1, 2, 3))
    await store.keep("cam-2", report_of(1))
    await store.close()
    pages = ReportPages(rows_of(tmp_path, FILE))
    first = pages.answers(0, 2)
    rest = pages.answers(first[-1]["number"], 10)
    assert [(row["device"], row["frame_id"][-1]) for row in (*first, *rest)] == [
        ("cam-1", "1"),
        ("cam-1", "2"),
        ("cam-1", "3"),
        ("cam-2", "1"),
    ]
    assert [row["event_id"][-1] for row in pages.events(0, 10, "cam-2")] == ["1"]
