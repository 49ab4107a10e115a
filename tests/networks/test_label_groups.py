from collections import Counter

import pytest

from edge_sdk.errors import ConfigError
from edge_sdk.networks.label_groups import GROUPS, _numbers, _read, group_names, label_group
from edge_sdk.networks.label_map import make_label_map
from edge_sdk.networks.labels import imagenet_labels


@pytest.mark.parametrize("name", GROUPS)
def test_each_class_is_in_exactly_one_group(name: str) -> None:
    counts = Counter(number for numbers in _read()[name].values() for number in _numbers(numbers))
    assert counts == Counter(range(1000))
    grouped = make_label_map(imagenet_labels(), label_group(name))
    assert set(grouped.labels) == set(group_names(name)) and 10 <= len(grouped.labels) <= 16


@pytest.mark.parametrize(
    ("label", "animal", "coarse"),
    [
        ("goldfish", "fish", "fish or water animal"),
        ("robin", "bird", "bird"),
        ("red fox", "fox or wolf", "other mammal"),
        ("toy poodle", "dog", "dog"),
        ("tabby", "cat", "cat"),
        ("lion", "big cat", "cat"),
        ("giant panda", "bear", "other mammal"),
        ("impala", "hoofed animal", "other mammal"),
        ("African elephant", "elephant", "other mammal"),
        ("king penguin", "bird", "bird"),
        ("tarantula", "insect or spider", "insect or spider"),
        ("monarch", "insect or spider", "insect or spider"),
        ("cab", "no animal", "vehicle"),
        ("pizza", "no animal", "food"),
        ("daisy", "no animal", "plant or fungus"),
        ("church", "no animal", "building or place"),
        ("ballplayer", "no animal", "other"),
        ("teddy", "no animal", "other"),
        ("crane (n02012849)", "bird", "bird"),
        ("crane (n03126707)", "no animal", "other"),
    ],
)
def test_classes_are_where_people_look_for_them(label: str, animal: str, coarse: str) -> None:
    assert (label_group("animals")[label], label_group("coarse")[label]) == (animal, coarse)


def test_an_unknown_group_is_refused() -> None:
    with pytest.raises(ConfigError, match="animals, coarse"):
        label_group("plants")
