from __future__ import annotations

import pytest
from sqlalchemy import Engine

from cloud_server.fleet.database.cards import Card, Cards
from cloud_server.fleet.database.opening import Overtaken
from edge_sdk.errors import ConfigError


def test_a_card_takes_the_place_of_the_one_before(engine: Engine) -> None:
    cards = Cards(engine, clock=lambda: 7.0)
    assert cards.get("cam-1") == Card("cam-1")
    made = cards.put(Card("cam-1", 47.5, -8.25, "north", "by the stream"), "ada")
    assert made == cards.get("cam-1") == Card("cam-1", 47.5, -8.25, "north", "by the stream", "ada", 7000)
    cards.put(Card("cam-1"), "bob")
    assert cards.all() == {"cam-1": Card("cam-1", changed_by="bob", changed_ms=7001)}


@pytest.mark.parametrize(
    ("card", "words"),
    [
        (Card("cam-1", 91, 0), "expected a latitude from -90 to 90"),
        (Card("cam-1", 0, float("nan")), "expected a longitude"),
        (Card("cam-1", 1), "expected both coordinates, or neither"),
        (Card(""), "expected a device's name of 1 to 200 characters"),
        (Card("two\nlines"), "expected a device's name"),
        (Card("c" * 201), "expected a device's name"),
        (Card("cam-1 "), "expected a device's name"),
        (Card("cam-1", group="a b"), "expected a device name"),
        (Card("cam-1", note="two\nlines"), "on one line"),
    ],
)
def test_a_card_that_says_nonsense_is_refused(engine: Engine, card: Card, words: str) -> None:
    cards = Cards(engine)
    with pytest.raises(ConfigError, match=words):
        cards.put(card, "ada")
    assert cards.all() == {}


def test_a_card_that_somebody_else_has_written_meanwhile_is_not_written_over(engine: Engine) -> None:
    cards = Cards(engine, clock=lambda: 7.0)
    seen = cards.get("cam-1")
    cards.put(Card("cam-1", note="ada's"), "ada", seen.changed_ms)
    with pytest.raises(Overtaken, match="ada has changed them meanwhile"):
        cards.put(Card("cam-1", note="bob's"), "bob", seen.changed_ms)
    assert cards.get("cam-1").note == "ada's"
    cards.put(Card("cam-1", note="bob's"), "bob", cards.get("cam-1").changed_ms)
    cards.put(Card("cam-1", note="a program's"), "program")
    assert cards.get("cam-1").note == "a program's"
