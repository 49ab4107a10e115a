"""Settings of the distillation."""

from __future__ import annotations

import pytest

from edge_sdk.workbench.specialize.recipe import Recipe


@pytest.mark.parametrize(
    ("recipe", "views"),
    [
        (Recipe(), 3000),
        (Recipe(steps=1200), 6000),
        (Recipe(steps=0), 5),
        (Recipe(steps=2, batch=4, views=100), 8),
        (Recipe(steps=20, views=100), 100),
        (Recipe(steps=10, batch=2), 20),
    ],
)
def test_there_are_five_views_for_each_step_and_no_more_than_are_looked_at(recipe: Recipe, views: int) -> None:
    assert recipe.count_views() == views


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"mixed": 1.5}, r"expected mixed in \[0, 1\]; got 1.5"),
        ({"strength": -0.1}, "expected strength in"),
        ({"truth": 2.0}, "expected truth in"),
        ({"average": float("nan")}, "expected average in"),
        ({"steps": -1}, "expected steps of 0 or more"),
        ({"batch": 1}, "a batch and views of 2 or more"),
        ({"views": 1}, "a batch and views of 2 or more"),
        ({"learning_rate": 0.0}, "a learning rate and a temperature above 0"),
        ({"temperature": 0.0}, "a learning rate and a temperature above 0"),
        ({"weight_decay": -1.0}, "expected weight_decay of 0 or more; got -1.0"),
        ({"features": -1.0}, "expected features of 0 or more; got -1.0"),
    ],
)
def test_recipes_that_make_no_sense(wrong: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Recipe(**wrong)  # type: ignore[arg-type]
