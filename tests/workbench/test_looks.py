"""What a network looks at in the pictures of a source."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from edge_sdk.images.close_up import close_up
from edge_sdk.types import Region, View
from edge_sdk.workbench.data import open_source
from edge_sdk.workbench.labelled import LabelledImage, Split, read_all
from edge_sdk.workbench.looks import looked_at, looks_of

REGION = Region(300, 200, 60, 40, 1.0)


@dataclass(frozen=True)
class Given:
    """Two pictures, one with a region."""

    labels: tuple[str, ...] = ("empty", "fox")
    parts: int = 1
    key: str = "given"

    def size(self, part: int) -> int:
        return 2

    def read(self, part: int) -> Iterator[LabelledImage]:
        image = np.arange(480 * 640 * 3, dtype=np.uint32).astype(np.uint8).reshape(480, 640, 3)
        yield LabelledImage(image, "fox", name="a", region=REGION)
        yield LabelledImage(image, "empty", name="b")


@pytest.mark.parametrize(
    ("view", "paired", "wanted"),
    [
        (View.REGION, False, ["near", "whole"]),
        (View.BOTH, False, ["whole", "near", "whole"]),
        (View.BOTH, True, ["whole", "near", "whole", "whole"]),
    ],
)
def test_what_is_looked_at(view: View, paired: bool, wanted: list[str]) -> None:
    source = looks_of(Given(), view, 160, 120, paired=paired)
    found = list(read_all(source))
    part = close_up(REGION, 640, 480, 160, 120)
    near = part.of(next(Given().read(0)).image)
    assert [("near" if one.image.shape == near.shape else "whole") for one in found] == wanted
    assert all(np.array_equal(one.image, near) for one in found if one.image.shape == near.shape)
    assert len(found) <= source.size(0)
    assert len({looks_of(Given(), view, *size, paired=paired).key for size in ((160, 120), (96, 96))}) == 2


def test_the_simulated_camera_knows_where_something_moved_and_empty_frames_have_a_part_too() -> None:
    source = open_source("simulated://trailcam?seed=1&frames=40", Split.TRAIN)
    assert looked_at(source, View.FRAME, 160, 120) is source
    plain = list(read_all(source))
    both = list(read_all(looked_at(source, View.BOTH, 160, 120, paired=True)))
    assert len(both) == 80
    assert [one.label for one in both[::2]] == [one.label for one in both[1::2]] == [one.label for one in plain]
    assert all(np.array_equal(one.image, other.image) for one, other in zip(both[::2], plain, strict=True))
    near = [one.label for one in both[1::2] if one.image.shape != (480, 640, 3)]
    assert "empty" in near and len(set(near)) > 3
    again = list(read_all(looked_at(source, View.BOTH, 160, 120, paired=True)))
    assert all(np.array_equal(one.image, other.image) for one, other in zip(both, again, strict=True))
    assert looked_at(source, View.BOTH, 160, 120).key != looked_at(source, View.REGION, 160, 120).key != source.key


def photo(path: Path, taken: datetime, image: np.ndarray) -> None:
    exif = PIL.Image.Exif()
    exif.get_ifd(0x8769)[0x9003] = f"{taken:%Y:%m:%d %H:%M:%S}"
    path.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.fromarray(image).save(path, exif=exif, quality=95)


def test_photos_of_a_place_have_regions_by_their_bursts(tmp_path: Path) -> None:
    scene = np.random.default_rng(1).integers(90, 130, (240, 320, 3), np.uint8)
    visited = scene.copy()
    visited[120:160, 200:260] = 240
    noon = datetime(2026, 6, 1, 12)
    for number in range(6):
        photo(tmp_path / "empty" / "ford" / f"{number}.jpg", noon + timedelta(minutes=number), scene)
    photo(tmp_path / "fox" / "ford" / "7.jpg", noon + timedelta(minutes=7), visited)
    photo(tmp_path / "fox" / "8.jpg", noon + timedelta(minutes=8), visited)  # of no place
    source = open_source(str(tmp_path), Split.ALL)
    assert all(one.region is None for one in read_all(source))
    near = [one for one in read_all(looked_at(source, View.BOTH, 160, 120)) if one.name.endswith("near")]
    assert [(one.label, one.name) for one in near] == [("fox", "fox/ford/7.jpg near")]
    height, width = near[0].image.shape[:2]
    assert width < 320 and height < 240
    photo(tmp_path / "empty" / "ford" / "9.jpg", noon, scene)
    again = open_source(str(tmp_path), Split.ALL)
    assert looked_at(again, View.BOTH, 160, 120).key != looked_at(source, View.BOTH, 160, 120).key
