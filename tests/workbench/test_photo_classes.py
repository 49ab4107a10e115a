import numpy as np
import pytest

from edge_sdk.networks.label_groups import label_group
from edge_sdk.networks.labels import imagenet_labels
from edge_sdk.workbench.labelled import LabelledImage
from edge_sdk.workbench.photo_classes import class_of, few, labels_of, meaning_in, relabelled


@pytest.mark.parametrize(
    ("folder", "label"),
    [
        ("388", "giant panda"),
        ("001", "goldfish"),
        ("1", "goldfish"),
        ("n01443537", "goldfish"),
        ("giant_panda", "giant panda"),
        ("Giant Panda", "giant panda"),
        ("German shepherd", "German shepherd"),
        ("1000", None),
        ("n99999999", None),
        ("holiday 2024", None),
        ("", None),
    ],
)
def test_names_of_folders(folder: str, label: str | None) -> None:
    assert class_of(folder) == label


def test_groups() -> None:
    animals = label_group("animals")
    folders = ("388", "bird", "Fox_or_wolf", "n01443537", "holiday")
    assert labels_of(folders, animals) == {
        "388": "bear",
        "bird": "bird",
        "Fox_or_wolf": "fox or wolf",
        "n01443537": "fish",
    }
    assert labels_of(("bird", "388"), {}) == {"388": "giant panda"}


def test_what_folders_mean_to_a_model() -> None:
    animals = label_group("animals")
    fine, groups = meaning_in(imagenet_labels()), meaning_in(tuple(dict.fromkeys(animals.values())), animals)
    assert [fine(folder) for folder in ("388", "goldfish", "holiday", None)] == [
        "giant panda",
        "goldfish",
        "holiday",
        None,
    ]
    assert [groups(folder) for folder in ("388", "bird", "n01443537")] == ["bear", "bird", "fish"]
    assert meaning_in(("388", "cat"))("1") == "1" and meaning_in(("cat", "dog"))("388") == "388"
    assert few(imagenet_labels()).endswith("chickadee ... (1000 in all)") and few(("a", "b")) == "a, b"


def test_pictures_get_the_labels_of_their_folders() -> None:
    image = np.zeros((2, 2, 3), np.uint8)
    pictures = [LabelledImage(image, label) for label in ("388", "holiday", None)]
    assert [one.label for one in relabelled(pictures, {"388": "bear"})] == ["bear", None, None]
