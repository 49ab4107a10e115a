"""A sample of a source."""

from __future__ import annotations

from collections import Counter
from operator import length_hint
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_sdk.types import View
from edge_sdk.workbench.data import open_source
from edge_sdk.workbench.folder_source import split_of
from edge_sdk.workbench.labelled import LabelledImage, Split
from edge_sdk.workbench.sample import Pictures, draw_sample, read_spread


def write(folder: Path, count: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        cv2.imwrite(str(folder / f"{number:03}.png"), np.full((8, 8, 3), number, np.uint8))


def names(pictures: Pictures) -> list[str]:
    return [picture.name for picture in pictures]


@pytest.fixture
def skewed(tmp_path: Path) -> str:
    """One class of many pictures, first in the alphabet, and three of few."""
    for name, count in (("ant", 200), ("bee", 5), ("cat", 5), ("dog", 1)):
        write(tmp_path / "photos" / name / "2024", count)
    return str(tmp_path / "photos")


def test_the_sample_has_pictures_of_every_class_however_few(skewed: str) -> None:
    sample = draw_sample(skewed, 12, 300)
    counts = Counter(picture.label for picture in sample.pictures)
    assert set(counts) == {"ant", "bee", "cat", "dog"} and counts.total() == length_hint(sample.pictures) == 12
    assert counts["dog"] == 1 and counts["ant"] <= 6


def test_the_pictures_held_out_are_others_and_not_of_the_training_split(skewed: str) -> None:
    sample = draw_sample(skewed, 1000, 1000)
    worked, held = set(names(sample.pictures)), set(names(sample.held_out))
    assert not worked & held and len(worked) + len(held) == 211
    assert all(split_of(name) is not Split.TRAIN for name in held)
    assert length_hint(sample.held_out) == len(held) > 40
    assert list(draw_sample(skewed, 1000, 0).held_out) == []


def test_the_seed_chooses(skewed: str) -> None:
    first, again, other = (names(draw_sample(skewed, 12, 9, seed).pictures) for seed in (0, 0, 1))
    assert first == again != other
    held, same = (names(draw_sample(skewed, limit, 9).held_out) for limit in (12, 30))
    assert held == same


def test_a_folder_of_unsorted_pictures_is_a_source_too(tmp_path: Path) -> None:
    write(tmp_path, 60)
    sample = draw_sample(str(tmp_path), 10, 10)
    drawn = list(sample.pictures)
    assert [picture.label for picture in drawn] == [None] * 10
    numbers = sorted(int(picture.name[:3]) for picture in drawn)
    assert numbers != list(range(10)) and numbers[-1] > 30


def test_pictures_that_cannot_be_read_are_replaced(skewed: str, caplog: pytest.LogCaptureFixture) -> None:
    usual = names(draw_sample(skewed, 12, 0).pictures)
    for name in usual[:4]:
        (Path(skewed) / name).write_bytes(b"no picture")
    drawn = names(draw_sample(skewed, 12, 0).pictures)
    assert len(drawn) == 12 and not set(usual[:4]) & set(drawn)
    assert caplog.text.count("left out") == 4


def test_the_simulated_camera_is_sampled_at_many_places_and_measured_on_test_seeds() -> None:
    sample = draw_sample("simulated://trailcam?seed=3&frames=1000", 60, 20)
    pictures = list(sample.pictures)
    assert len(pictures) == 60 and {picture.source for picture in pictures} == {
        f"simulated://trailcam?seed={3_003_000 + place}" for place in (0, 3, 6)
    }
    assert {picture.source for picture in sample.held_out} == {"simulated://trailcam?seed=3000"}


def test_some_of_any_source(skewed: str) -> None:
    def labels(pictures: list[LabelledImage]) -> set[str | None]:
        return {picture.label for picture in pictures}

    assert labels(list(read_spread(open_source(skewed, Split.ALL), 4))) == {"ant", "bee", "cat", "dog"}
    assert len(list(read_spread(open_source(skewed, Split.ALL), 1000))) == 211
    assert len(list(read_spread(open_source("simulated://trailcam?frames=20", Split.TEST), 3))) == 3


def test_a_sample_of_what_a_network_looks_at() -> None:
    address = "simulated://trailcam?seed=2&frames=60"
    both = draw_sample(address, 40, 20, view=View.BOTH, across=160, down=120)
    pictures, held_out = list(both.pictures), list(both.held_out)
    assert (len(pictures), len(held_out)) == (40, 20)
    near = [one for one in (*pictures, *held_out) if one.image.shape != (480, 640, 3)]
    assert len(near) > 20 and all(one.name.endswith(" near") for one in near)
    only = list(draw_sample(address, 40, 0, view=View.REGION, across=160, down=120).pictures)
    assert len(only) == 40 and sum(one.image.shape != (480, 640, 3) for one in only) > 30
