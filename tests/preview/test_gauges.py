"""Lines on how the device is."""

from __future__ import annotations

from datetime import UTC

from edge_sdk.budget.limits import parse_budgets
from edge_sdk.budget.usage import BudgetState, Usage
from edge_sdk.fleet.health import Health
from edge_sdk.preview.gauges import gauges, meters
from edge_sdk.types import LinkState

WELL = Health(sdk="1", python="3.11", bundle="trailcam 3", celsius=51.2, throttled=0, disk_free=20 * 10**9)


def lines(health: Health, link: LinkState = LinkState.ONLINE, message: str = "", waiting: int = 0) -> dict[str, str]:
    return {one.name: f"{'!' * one.warns}{one.text}" for one in gauges(health, link, message, waiting, UTC)}


def test_a_device_that_is_well() -> None:
    found = lines(WELL)
    assert found["Processor"] == "51 °C" and found["Disk"] == "20.0 GB free" and found["Link"] == "online"
    assert "Power" not in found and "Speed" not in found
    assert found["Model"] == "trailcam 3" and "free; this program has" in found["Memory"]


def test_what_somebody_should_mend_warns() -> None:
    found = lines(
        Health(celsius=84.0, throttled=0x50005, disk_free=10**8, clock_unset=True, own={"battery": 0.08, "lux": 3.2}),
        LinkState.DENIED,
        "the server\nrefuses",
        1,
    )
    assert found["Processor"].startswith("!") and found["Disk"].startswith("!") and found["Battery"] == "!8%"
    assert found["Power"].startswith("!too low a voltage now") and found["Speed"].startswith("!slowed")
    assert found["Clock"].startswith("!not set")
    assert found["Link"] == "!access denied: the server\\nrefuses; 1 frame waits" and found["Lux"] == "3.2"


def test_under_voltage_that_is_over() -> None:
    assert "since the start" in lines(Health(throttled=0x10000))["Power"]


def test_without_a_cloud() -> None:
    assert lines(WELL, LinkState.OFF, "", 0)["Link"] == "no cloud is named"
    assert lines(WELL, LinkState.OFF, "", 2)["Link"] == "no cloud is named; 2 frames wait"


def test_budgets_spent_and_left() -> None:
    budgets = parse_budgets("5MB/day, 200 frames/day")
    usage = Usage(budgets=tuple(BudgetState(one, one.limit * 2 // (1 + number)) for number, one in enumerate(budgets)))
    found = meters(usage)
    assert {one.share for one in found} == {1.0}
    assert found[0].name == "Sent" and found[0].left == "0 bytes left" and found[0].text.endswith("of 5.0 MB/day")
    assert found[1].left == "0 frames left"
