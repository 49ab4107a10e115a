from __future__ import annotations

import msgspec

from cloud_server.fleet.database.cards import Card
from cloud_server.fleet.report_queries import HistoryRow
from cloud_server.http.page.fleet_view import FleetView, ago, audits_words, curves_of, size, thinned
from edge_sdk.budget.limits import Budget
from edge_sdk.budget.usage import BudgetState, Usage
from edge_sdk.fleet.audits import ReportedAudits
from edge_sdk.fleet.health import Health
from edge_sdk.fleet.report_file import DeviceRow, Status, Tally
from edge_sdk.store.audits import AuditCounts

NOW_S = 1_800_000_000.0


def row(last_s: float = NOW_S, sent_s: float = 0.0, **values: object) -> DeviceRow:
    status = Status(sent_ms=round((sent_s or last_s) * 1000), **values)  # type: ignore[arg-type]
    return DeviceRow("cam-1", 0, round(last_s * 1000), status, 3)


def test_what_needs_a_look_is_told() -> None:
    usage = Usage(frames=10, exits=9, budgets=(BudgetState(Budget(100, 86_400.0), 95),))
    health = Health(celsius=80.0, disk_free=1000, own={"battery": 0.1, "latitude": 46.5, "longitude": 9.8})
    given = row(NOW_S - 90_000 * 4, NOW_S, usage=usage, health=health)
    view = FleetView(lambda: NOW_S).of(given, None, Card("cam-1", 1.0, 2.0))
    assert view.state == "silent"
    assert view.place == (46.5, 9.8)
    assert {cell.name for cell in view.troubles} == {"battery", "temperature", "clock", "free disk", "budget"}
    assert view.budgets[0].text == "95 B of 100 B/day"


def test_a_device_that_tells_little() -> None:
    view = FleetView(lambda: NOW_S).of(row(), None, Card("cam-1", 1.0, 2.0))
    assert (view.state, view.troubles, view.place) == ("fresh", [], (1.0, 2.0))
    assert view.cells["battery"].text == "not told"
    assert view.audits == "no audits yet"
    assert FleetView(lambda: NOW_S).of(row(), None, None).place is None


def test_a_device_that_does_not_tell_its_chances_has_the_agreement_of_its_audits_alone() -> None:
    known = "; of all its exits nothing can be said: it does not tell its audits' chances"
    assert audits_words(Status(), Tally(audits=1)) == f"1 audit waits for the cloud{known}"
    text = audits_words(Status(), Tally(audits=400, answered=400, differ=8))
    assert text.startswith("98.0% of 400 audits agree (9") and text.endswith(known)
    assert audits_words(Status(), Tally(audits=2, answered=1)).startswith("100.0% of 1 audit agrees (0.0% to 100.0%);")


def test_audits_with_their_chances_say_how_accurate_all_exits_are() -> None:
    counts = (AuditCounts(0.01, 9000, 90, 90), AuditCounts(0.1, 1000, 100, 100, differ=10, labelled=10, wrong=5))
    status = Status(health=Health(bundle="trailcam 3"), audits=ReportedAudits("trailcam 3", counts))
    text = audits_words(status, Tally(audits=190, answered=190, differ=10))
    assert text.startswith("the cloud agrees on 99.0% (") and " of 10,000 exits, by 190 audits" in text
    assert "; right by people's labels: 50.0% (" in text and text.endswith(", by 10 of 190 audits")
    later = msgspec.structs.replace(status, health=Health(bundle="trailcam 4"))
    assert audits_words(later, Tally()).endswith(" (of trailcam 3, before trailcam 4)")
    none = Status(audits=ReportedAudits("trailcam 3", (AuditCounts(0.5, 3, 1, 0, 1),)))
    assert audits_words(none, Tally(audits=1)) == "of 3 exits 1 audit and no answer yet"


def test_curves_are_of_what_was_done_between_reports() -> None:
    day = 86_400_000
    rows = [HistoryRow(number * day, 100 * number, 90 * number, 1000 * number, 2, None, 0.5) for number in range(3)]
    found = {title: points for title, _, points in curves_of(rows)}
    assert found["Exit ratio"] == [(day, 90.0), (2 * day, 90.0)]
    assert found["Sent per day"] == [(day, 1000.0), (2 * day, 1000.0)]
    assert found["Battery"] == [(number * day, 50.0) for number in range(3)]
    assert "Temperature" not in found
    assert curves_of([]) == []


def test_words() -> None:
    assert [size(count) for count in (5, 1500, 2.5e6, 3e9)] == ["5 B", "1.5 kB", "2.5 MB", "3 GB"]
    assert [ago(seconds) for seconds in (0.2, 90, 7_300, 200_000)] == [
        "a moment ago",
        "90 seconds ago",
        "2 hours ago",
        "2 days ago",
    ]
    assert len(thinned([(at, 1.0) for at in range(5_000)])) <= 400
