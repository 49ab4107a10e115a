"""How far answers are from the wanted ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.workbench.likeness import Likeness, likeness


@given(st.integers(1, 9), st.integers(2, 5), st.integers(0, 2**32 - 1), st.floats(-5, 5))
def test_what_all_classes_share_is_no_error(pictures: int, classes: int, seed: int, shift: float) -> None:
    wanted = np.random.default_rng(seed).normal(size=(pictures, classes))
    found = likeness(wanted + shift, wanted)
    assert found.error == pytest.approx(0, abs=1e-12) and found.agreement == 1 and found.pictures == pictures


def test_the_error_of_answers_that_are_always_the_same_is_one() -> None:
    wanted = np.random.default_rng(0).normal(size=(500, 4))
    centred = wanted - wanted.mean(1, keepdims=True)
    assert likeness(np.broadcast_to(centred.mean(0), wanted.shape), wanted).error == pytest.approx(1)


def test_better_is_a_smaller_error_and_no_fewer_answers_than_chance_explains() -> None:
    before = Likeness(0.02, 0.96, 100)
    assert Likeness(0.01, 0.95, 100).better_than(before)
    assert not Likeness(0.01, 0.80, 100).better_than(before)
    assert not Likeness(0.02, 0.99, 100).better_than(before)
