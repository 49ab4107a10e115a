from __future__ import annotations

import pytest
from sqlalchemy import Engine

from cloud_server.fleet.database.cards import Card, Cards
from edge_sdk.errors import ConfigError


def test_a_card_takes_the_place_of_the_one_before(engine: Engine) -> None:
    cards = Cards(engine, clock=lambda: 7.0)
    assert cards.get("cam-1") == Card("cam-1")
    made = cards.put(Card("cam-1", 47.5, -8.25, "north", "by the stream"), "ada")
    assert made == cards.get("cam-1") == Card("cam-1", 47.5, -8.25, "north", "by the stream", "ada", 7000)
    cards.put(Card("cam-1"), "bob")
    assert cards.all() == {"cam-1": Card("cam-1", changed_by="bob", changed_ms=7000)}


@pytest.mark.parametrize(
    ("card", "words"),
    [
        (Card("cam-1", 91, 0), "expected a latitude from -90 to 90"),
        (Card("cam-1", 0, float("nan")), "expected a longitude"),
        (Card("cam-1", 1), "expected both coordinates, or neither"),
        (Card("cam-1", group="a b"), "expected a device name"),
        (Card("cam-1", note="two\nlines"), "on one line"),
    ],
)
def test_a_card_that_says_nonsense_is_refused(engine: Engine, card: Card, words: str) -> None:
    cards = Cards(engine)
    with pytest.raises(ConfigError, match=words):
        cards.put(card, "ada")
    assert cards.all() == {}
