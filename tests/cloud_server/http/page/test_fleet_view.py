from __future__ import annotations

from cloud_server.fleet.database.cards import Card
from cloud_server.fleet.report_queries import HistoryRow
from cloud_server.http.page.fleet_view import FleetView, ago, curves_of, size, thinned
from edge_sdk.budget.limits import Budget
from edge_sdk.budget.usage import BudgetState, Usage
from edge_sdk.fleet.health import Health
from edge_sdk.fleet.report_file import DeviceRow, Status

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


def test_measures_of_the_application_hide_nothing() -> None:
    health = Health(celsius=80.0, own={"temperature": 21.5, "clock": 1.0, "budget": 2.0, "soil": 0.25})
    usage = Usage(frames=10, exits=9, budgets=(BudgetState(Budget(100, 86_400.0), 95),))
    view = FleetView(lambda: NOW_S).of(row(NOW_S - 90_000, NOW_S, health=health, usage=usage), None, None)
    assert {cell.name for cell in view.troubles} == {"clock", "temperature", "budget"}
    assert (view.cells["temperature"].text, view.cells["temperature, as it measures"].text) == ("80 °C", "21.5")
    assert view.cells["soil"].text == "0.25"


def test_an_exit_ratio_that_cannot_be_is_not_shown() -> None:
    """As after a device began anew, whose counters went back."""
    given = DeviceRow("cam-1", 0, round(NOW_S * 1000), Status(usage=Usage(frames=10, exits=9)), 3, day=(4, 9))
    assert FleetView(lambda: NOW_S).of(given, None, None).cells["exit ratio"].more == ""
    rows = [HistoryRow(at, frames, exits, 0, None, None, None) for at, frames, exits in ((0, 10, 9), (1, 12, 4))]
    assert curves_of([*rows, HistoryRow(2, 14, 6, 0, None, None, None)]) == []


def test_curves_are_of_what_was_done_between_reports() -> None:
    day = 86_400_000
    rows = [HistoryRow(number * day, 100 * number, 90 * number, 1000 * number, 2, None, 0.5) for number in range(3)]
    found = {title: points for title, _, points in curves_of(rows)}
    assert found["Exit ratio"] == [(day, 90.0), (2 * day, 90.0)]
    assert found["Sent per day"] == [(day, 1000.0), (2 * day, 1000.0)]
    assert found["Battery"] == [(number * day, 50.0) for number in range(3)]
    assert "Temperature" not in found
    often = [
        HistoryRow(number * 60_000, 100 * number, 90 * number, 1000 * number, 2, None, 0.5) for number in range(31)
    ]
    rates = dict((title, points) for title, _, points in curves_of(often))["Sent per day"]
    assert rates == [(number * 600_000, 1_440_000.0) for number in (1, 2, 3)]  # not one from one minute to the next
    assert curves_of([]) == []


def test_words() -> None:
    assert [size(count) for count in (5, 1500, 2.5e6, 3e9)] == ["5 B", "1.5 kB", "2.5 MB", "3 GB"]
    assert [ago(seconds) for seconds in (0.2, 90, 7_300, 200_000)] == [
        "a moment ago",
        "1 minute ago",
        "2 hours ago",
        "2 days ago",
    ]
    assert len(thinned([(at, 1.0) for at in range(5_000)])) <= 400
