"""Where and when a camera stood."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from edge_sdk.errors import ConfigError
from edge_sdk.formats.deployment import Deployment

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def test_a_name_stands_for_what_is_not_given() -> None:
    assert (Deployment().name, Deployment().location) == ("deployment", "deployment")
    assert (Deployment(place="hide").name, Deployment("d1").location) == ("hide", "d1")
    assert (Deployment("d1", "hide").name, Deployment("d1", "hide").location) == ("d1", "hide")


@pytest.mark.parametrize(
    "given",
    [
        {"latitude": 90.5},
        {"longitude": -181.0},
        {"latitude": float("nan")},
        {"start": datetime(2026, 6, 1)},
        {"start": NOON, "end": NOON.replace(hour=11)},
    ],
)
def test_what_is_no_place_or_time_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="expected"):
        Deployment(**given)
