"""Settings are checked once, at the edge; the message says what was expected and what came."""

from __future__ import annotations

from typing import Any

import pytest

from edge_sdk.budget.limits import Resource
from edge_sdk.config import PowerModel
from edge_sdk.errors import ConfigError
from edge_sdk.pipeline.settings import Settings, check_wait

BAD: dict[str, tuple[dict[str, Any], str]] = {
    "a number as a budget": ({"budget": 5_000_000}, 'in words.*got the number 5000000; did you mean "5MB/day"'),
    "another resource": ({"budget": "2GMAC/s"}, "expected a budget such as"),
    "joules without a PowerModel": ({"compute_budget": "3kJ/h"}, "expected a PowerModel"),
    "a callback that is none": ({"on_answer": "x"}, "expected on_answer as a function that takes an Answer; got 'x'"),
    "no view": ({"view": "zoom"}, "expected view as one of frame, region, both; got 'zoom'"),
    "both to send": ({"send": "both"}, "expected send as frame or region; got 'both'"),
    "no gate": ({"gate": True}, "expected gate as a MotionGate; got True"),
    "a dict of preferences": ({"preferences": {"floor": 1}}, "expected preferences as a Preferences; got {'floor': 1}"),
    "no threads": ({"threads": 0}, "threads: expected 1 to 64; got 0"),
    "room below zero": ({"spool_bytes": -1}, "expected spool_bytes as a whole number of at least 0; got -1"),
    "room in words": ({"spool_bytes": "1GB"}, "expected spool_bytes as a whole number"),
    "an address without a port": ({"cloud": "vm"}, "host:port"),
    "an address of another kind": ({"cloud": 50051}, "expected cloud as host:port"),
    "no encryption to afar": ({"cloud": "vm.example:50051"}, "expected"),
}


@pytest.mark.parametrize(("wrong", "message"), BAD.values(), ids=BAD.keys())
def test_a_value_that_cannot_be_used_is_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Settings(**wrong)


def test_budgets_of_all_arguments_are_taken_together() -> None:
    settings = Settings(
        budget="5MB/day, 9 frames/h", compute_budget="3kJ/h", cloud_budget="1TMAC/day", power=PowerModel(2.0)
    )
    resources = [budget.resource for budget in settings.budgets]
    assert resources == [Resource.UPLOAD, Resource.FRAMES, Resource.ENERGY, Resource.CLOUD]


@pytest.mark.parametrize("bad", [-1, -0.1, float("nan"), "2", None, True])
def test_a_wait_is_seconds(bad: Any) -> None:
    with pytest.raises(ConfigError, match="expected wait_s as seconds, 0 or more; got"):
        check_wait(bad)
    assert check_wait(float("inf")) == float("inf")
