from __future__ import annotations

from typing import Any

import pytest

from edge_sdk.errors import ConfigError
from edge_sdk.fleet.wanted import check_wanted

GOOD: dict[str, Any] = {
    "threshold": 0.7,
    "audit": 0,
    "budget": {"upload": "5MB/day", "compute": None},
    "private": {"never_upload": ["person"], "above": 0.1},
    "archive": "1GB, 30 days",
}


def test_settings_that_a_device_can_follow_come_back() -> None:
    assert check_wanted(GOOD) == GOOD
    assert check_wanted({"archive": None}) == {"archive": None}


@pytest.mark.parametrize(
    "wanted",
    [
        {"speed": 1},
        {"threshold": True},
        {"threshold": "0.5"},
        {"threshold": float("nan")},
        {"audit": -0.1},
        {"budget": {}},
        {"budget": {"time": "1 day"}},
        {"budget": {"upload": 5}},
        {"budget": {"upload": "much"}},
        {"private": {"never_upload": "person"}},
        {"private": {"never_upload": [""]}},
        {"private": {"above": 2}},
        {"archive": 5},
        {"archive": "everything"},
        {"x\n" * 100: 1},
    ],
)
def test_others_are_refused_on_one_line(wanted: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        check_wanted(wanted)
    assert "\n" not in str(caught.value)
