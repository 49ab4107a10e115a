"""A taxonomy of ImageNet's classes, or of the groups of them that come with the package (`label_groups.json`).

It is coarse: above a class stands its group (dog, fox or wolf, bird ...), then canines and felines, mammals, and
animals; what is no animal is a vehicle, food, a plant, a place, or in no group.
"""

from __future__ import annotations

from edge_sdk.model.taxonomy import Node, Taxonomy
from edge_sdk.networks.label_groups import label_group

_MAMMALS = {
    **dict.fromkeys(("dog", "fox or wolf"), ("canine", "mammal", "animal")),
    **dict.fromkeys(("cat", "big cat"), ("feline", "mammal", "animal")),
    **dict.fromkeys(
        ("bear", "hoofed animal", "elephant", "rabbit or rodent", "monkey or ape", "other mammal"), ("mammal", "animal")
    ),
}
_NO_ANIMALS = ("vehicle", "food", "plant or fungus", "building or place")
_NODES = {
    "canine": Node("family", "Canidae"),
    "feline": Node("family", "Felidae"),
    "mammal": Node("class", "Mammalia"),
    "bird": Node("class", "Aves"),
    "animal": Node("kingdom", "Animalia"),
}


def photo_taxonomy(group: str = "") -> Taxonomy:
    """The taxonomy of the thousand classes, or of a group of labels.

    Args:
        group: of labels (`edge_sdk.networks.label_groups`); "": the thousand classes.

    Raises:
        ConfigError: there is no group of this name.
    """
    if group:
        chains = {name: _above(name) for name in dict.fromkeys(label_group(group).values())}
    else:
        animals, coarse = label_group("animals"), label_group("coarse")
        chains = {label: _chain(animals[label], coarse[label]) for label in animals}
    used = {name for chain in chains.values() for name in chain}
    return Taxonomy(classes=chains, nodes={name: node for name, node in _NODES.items() if name in used})


def _chain(animal: str, coarse: str) -> tuple[str, ...]:
    """The nodes above a class of both its groups."""
    if animal == "no animal":
        return (coarse,) if coarse in _NO_ANIMALS else ()
    if animal == "other animal":
        return _above(coarse)
    return (animal, *_above(animal))


def _above(name: str) -> tuple[str, ...]:
    """The nodes above a group."""
    if name in _MAMMALS:
        return _MAMMALS[name]
    return () if name in (*_NO_ANIMALS, "no animal", "other") else ("animal",)
