"""A source whose pictures are made of another's."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_sdk.workbench.data import open_source
from edge_sdk.workbench.labelled import LabelledImage, Source, Split, read_all
from edge_sdk.workbench.mapped_source import MappedSource


def thrice_but_cats(picture: LabelledImage) -> Iterator[LabelledImage]:
    """A cat is left out; any other picture comes three times."""
    if picture.label != "cat":
        yield from (replace(picture, name=f"{picture.name} {number}") for number in range(3))


@pytest.fixture
def photos(tmp_path: Path) -> Source:
    for name in ("cat/a.png", "dog/b.png", "dog/c.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / name), np.zeros((8, 8, 3), np.uint8))
    return open_source(str(tmp_path), Split.ALL)


def test_each_picture_gives_none_one_or_several(photos: Source) -> None:
    mapped: Source = MappedSource(photos, thrice_but_cats, "thrice", 3)
    found = list(read_all(mapped))
    assert [one.name for one in found] == [f"dog/{name}.png {number}" for name in "bc" for number in range(3)]
    assert mapped.labels == ("cat", "dog") and mapped.parts == 1
    assert len(found) <= mapped.size(0) == 9
    assert mapped.key != photos.key and mapped.key != MappedSource(photos, thrice_but_cats, "other", 3).key


def test_other_processes_can_make_its_parts(photos: Source) -> None:
    mapped = MappedSource(photos, thrice_but_cats, "thrice", 3)
    again = pickle.loads(pickle.dumps(mapped))
    assert [one.name for one in read_all(again)] == [one.name for one in read_all(mapped)]
    assert again.key == mapped.key
