from __future__ import annotations

from pathlib import Path

from report_parts import report_of

from cloud_server.fleet.report_store import ReportStore
from edge_sdk.budget.usage import Usage
from edge_sdk.fleet.report_file import FILE, ReportFile
from edge_sdk.fleet.report_rows import rows_of


async def test_any_number_of_devices_takes_one_question(tmp_path: Path) -> None:
    now = [1_800_000_000.0]
    store = ReportStore(tmp_path, clock=lambda: now[0])
    for day in range(2):
        for number in range(20):
            usage = Usage(frames=100 * (day + 1), exits=90 * (day + 1))
            await store.keep(f"cam-{number}", report_of(day, usage=usage))
        now[0] += 86_400
    await store.close()
    rows, asked = rows_of(tmp_path, FILE), []

    def count(sql: str, *values: object) -> list[tuple[object, ...]]:
        asked.append(sql)
        return rows(sql, *values)

    found = ReportFile(count).devices()
    assert len(found) == 20 and len(asked) == 1
    assert {(one.answers, one.day) for one in found} == {(2, (100, 90))}
