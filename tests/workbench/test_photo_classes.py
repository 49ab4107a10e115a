import numpy as np
import pytest

from edge_sdk.networks.label_groups import label_group
from edge_sdk.workbench.labelled import LabelledImage
from edge_sdk.workbench.photo_classes import class_of, labels_of, relabelled


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


def test_pictures_get_the_labels_of_their_folders() -> None:
    image = np.zeros((2, 2, 3), np.uint8)
    pictures = [LabelledImage(image, label) for label in ("388", "holiday", None)]
    assert [one.label for one in relabelled(pictures, {"388": "bear"})] == ["bear", None, None]
