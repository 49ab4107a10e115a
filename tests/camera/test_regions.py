"""The subjects in a mask, against a plain flood fill."""

from __future__ import annotations

import cv2
import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from edge_sdk.camera.regions import find_regions
from edge_sdk.types import MOST_REGIONS, Region

CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.uint8)
MASKS = st.tuples(st.integers(1, 12), st.integers(1, 12)).flatmap(
    lambda shape: arrays(np.uint8, shape, elements=st.sampled_from([0, 0, 0, 255]))
)


def flood(grown: NDArray[np.uint8]) -> list[set[tuple[int, int]]]:
    """The pixels (y, x) of each connected part, corners included."""
    left = {(int(y), int(x)) for y, x in zip(*np.nonzero(grown), strict=True)}
    parts = []
    while left:
        part, edge = set(), [left.pop()]
        while edge:
            y, x = edge.pop()
            part.add((y, x))
            near = {(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)} & left
            left -= near
            edge += near
        parts.append(part)
    return parts


@given(MASKS, st.integers(1, 70), st.integers(1, 70), st.integers(0, 6))
def test_the_regions_are_those_of_a_flood_fill(mask: NDArray[np.uint8], width: int, height: int, least: int) -> None:
    grown = np.asarray(cv2.dilate(mask, CROSS), np.uint8)
    width, height = max(width, mask.shape[1]), max(height, mask.shape[0])
    found = find_regions(mask, grown, width, height, least)

    across, down = width / mask.shape[1], height / mask.shape[0]
    expected = []
    for part in flood(grown):
        ys, xs = zip(*part, strict=True)
        x, y = int(min(xs) * across + 1e-9), int(min(ys) * down + 1e-9)
        right, bottom = (max(xs) + 1) * across, (max(ys) + 1) * down
        size = sum(mask[pixel] > 0 for pixel in part)
        box = (x, y, int(np.ceil(right - 1e-9)) - x, int(np.ceil(bottom - 1e-9)) - y)
        expected.append((size, box))
    sizes = sorted((size for size, _ in expected), reverse=True)
    kept = [size for place, size in enumerate(sizes) if place == 0 or size >= least][:MOST_REGIONS]
    assert len(found) == len(kept)
    boxes = [(region.x, region.y, region.width, region.height) for region in found]
    assert set(boxes) <= {box for _, box in expected}
    total = int((mask > 0).sum())
    for region, size in zip(found, kept, strict=True):
        assert region.score == size / total
        assert not region.held
        assert 0 <= region.x < region.x + region.width <= width
        assert 0 <= region.y < region.y + region.height <= height


def test_separate_subjects_come_the_largest_first() -> None:
    mask = np.zeros((120, 160), np.uint8)
    mask[10:20, 10:20] = 255
    mask[60:90, 100:140] = 255
    mask[100, 5] = 255
    found = find_regions(mask, mask, 640, 480, 15)
    assert found == (Region(400, 240, 160, 120, 1200 / 1301), Region(40, 40, 40, 40, 100 / 1301))


def test_nothing_that_moved_is_no_region_and_the_largest_is_one_however_small() -> None:
    mask = np.zeros((9, 9), np.uint8)
    assert find_regions(mask, mask, 9, 9, 5) == ()
    mask[4, 4] = 1
    assert find_regions(mask, mask, 9, 9, 5) == (Region(4, 4, 1, 1, 1.0),)
