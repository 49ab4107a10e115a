"""Words for nothing there."""

import numpy as np
import pytest

from edge_sdk.model.nothing import emptiness_by, says_nothing


@pytest.mark.parametrize("label", ["empty", "Empty", "no_animal", "false-trigger", " blank "])
def test_words_for_nothing_are_known_however_they_are_written(label: str) -> None:
    assert says_nothing(label)


@pytest.mark.parametrize("label", ["fox", "emptying", "", "nothing else"])
def test_other_labels_say_something(label: str) -> None:
    assert not says_nothing(label)


def test_emptiness_is_the_probability_of_nothing_or_else_how_unsure_the_model_is() -> None:
    chances = np.array([0.5, 0.3, 0.2], np.float32)
    assert emptiness_by(("fox", "empty", "blank"))(chances) == pytest.approx(0.5)
    assert emptiness_by(("fox", "deer", "car"))(chances) == pytest.approx(0.5)
    assert emptiness_by(("fox", "empty", "car"))(chances) == pytest.approx(0.3)
