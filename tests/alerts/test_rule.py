"""A rule: what it names, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest
from alert_parts import answer

from edge_sdk import AlertRule
from edge_sdk.alerts.alert import Kind
from edge_sdk.alerts.rule import Rate
from edge_sdk.errors import ConfigError


def test_a_rule_names_its_classes_that_are_sure_enough_and_final() -> None:
    rule = AlertRule(["fox", "boar"], min_confidence=0.8)  # type: ignore[arg-type]
    assert rule.names(answer("fox", 0.8))
    assert rule.names(answer("boar", 1.0))
    assert not rule.names(answer("fox", 0.79))
    assert not rule.names(answer("deer", 1.0))
    assert not rule.names(answer(None, 0.0))
    assert not rule.names(answer("fox", 0.9, final=False))
    assert AlertRule(("fox",), provisional=True).names(answer("fox", 0.9, final=False))


def test_without_classes_every_class_is_named_and_other_kinds_are_none() -> None:
    assert AlertRule().names(answer("anything", 0.1))
    assert not AlertRule().names(answer(None, 0.0))
    assert not AlertRule(kinds=(Kind.FAULT, Kind.BUDGET)).names(answer())


def test_a_name_is_made_where_none_is_given() -> None:
    assert AlertRule(("fox", "wild boar")).name == "fox+wild boar"
    assert AlertRule(kinds=("fault", "budget")).name == "fault+budget"  # type: ignore[arg-type]
    assert AlertRule(("a/b\n",)).name == "a_b_"
    assert AlertRule(name="night").name == "night"


def test_rates() -> None:
    assert Rate.parse("5/h") == Rate(5, 3600)
    assert Rate.parse("1/10min") == Rate(1, 600)
    assert Rate.parse("20 per day") == Rate(20, 86400)
    for text in ("", "5", "0/h", "5/0h", "5/year", "-1/h", "5/h/h"):
        with pytest.raises(ConfigError, match="expected a rate such as"):
            Rate.parse(text)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"classes": "fox"}, "AlertRule.classes as a list"),
        ({"classes": (1,)}, "AlertRule.classes as names"),
        ({"kinds": ("war",)}, "AlertRule.kinds of class, fault, budget, drift, audit"),
        ({"kinds": ()}, "one kind at least"),
        ({"min_confidence": 1.1}, "from 0 to 1"),
        ({"min_confidence": float("nan")}, "from 0 to 1"),
        ({"min_confidence": "x"}, "from 0 to 1"),
        ({"at_most": "often"}, "expected a rate"),
        ({"quiet": "always"}, "expected quiet hours"),
        ({"name": "a\nb"}, "AlertRule.name"),
    ],
)
def test_what_cannot_be_used_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        AlertRule(**given)
