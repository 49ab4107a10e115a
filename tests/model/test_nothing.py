"""Words for nothing there."""

import pytest

from edge_sdk.model.nothing import says_nothing


@pytest.mark.parametrize("label", ["empty", "Empty", "no_animal", "false-trigger", " blank "])
def test_words_for_nothing_are_known_however_they_are_written(label: str) -> None:
    assert says_nothing(label)


@pytest.mark.parametrize("label", ["fox", "emptying", "", "nothing else"])
def test_other_labels_say_something(label: str) -> None:
    assert not says_nothing(label)
