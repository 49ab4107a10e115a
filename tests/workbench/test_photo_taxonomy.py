"""The taxonomy of ImageNet's classes and of their groups."""

from __future__ import annotations

import pytest

from edge_sdk.model.taxonomy import Rollup
from edge_sdk.networks.label_groups import GROUPS, group_names
from edge_sdk.networks.labels import imagenet_labels
from edge_sdk.workbench.photo_taxonomy import photo_taxonomy


@pytest.mark.parametrize(
    ("number", "chain"),
    [
        (277, ("fox or wolf", "canine", "mammal", "animal")),  # red fox
        (292, ("big cat", "feline", "mammal", "animal")),  # tiger
        (103, ("mammal", "animal")),  # platypus
        (107, ("animal",)),  # jellyfish
        (16, ("bird", "animal")),
        (817, ("vehicle",)),  # sports car
        (504, ()),  # coffee mug
    ],
)
def test_chains_of_classes(number: int, chain: tuple[str, ...]) -> None:
    assert photo_taxonomy().classes[imagenet_labels()[number]] == chain


def test_every_class_and_group_has_its_place() -> None:
    assert list(photo_taxonomy().classes) == list(imagenet_labels())
    names = Rollup(photo_taxonomy(), imagenet_labels()).names[1000:]
    assert len(names) == 13 + 4 + 4 + 1  # groups of animals, canine to animal, other groups, root
    for group in GROUPS:
        assert set(photo_taxonomy(group).classes) == set(group_names(group))
    assert photo_taxonomy("animals").classes["big cat"] == ("feline", "mammal", "animal")
    assert photo_taxonomy("coarse").classes["other"] == ()
