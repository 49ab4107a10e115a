"""The part of a picture around a region: always within the picture, around the region, at the network's proportions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.errors import ImageError
from edge_sdk.images.close_up import CloseUp, close_up
from edge_sdk.images.geometry import centre_crop, inside
from edge_sdk.types import Region

SIDES = st.integers(1, 900)
PROPORTIONS = st.tuples(st.integers(1, 40), st.integers(1, 40))


@st.composite
def regions(draw: st.DrawFn) -> tuple[Region, int, int]:
    """A region, with the width and height of its picture."""
    width, height = draw(SIDES), draw(SIDES)
    x, y = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
    return Region(x, y, draw(st.integers(1, width - x)), draw(st.integers(1, height - y)), 1.0), width, height


@given(regions(), PROPORTIONS)
def test_it_lies_within_the_picture_and_holds_the_region(
    where: tuple[Region, int, int], proportions: tuple[int, int]
) -> None:
    region, width, height = where
    part = close_up(region, width, height, *proportions)
    assert 0 <= part.x <= region.x and region.x + region.width <= part.x + part.width <= width
    assert 0 <= part.y <= region.y and region.y + region.height <= part.y + part.height <= height


@given(regions(), PROPORTIONS)
def test_it_has_the_proportions_where_they_can_hold_the_region(
    where: tuple[Region, int, int], proportions: tuple[int, int]
) -> None:
    (region, width, height), (across, down) = where, proportions
    part = close_up(region, width, height, across, down)
    largest = inside(width, height, across, down)
    if region.width <= largest[0] and region.height <= largest[1]:
        off = abs(part.width - part.height * across / down), abs(part.height - part.width * down / across)
        assert min(off) <= 1
    else:
        assert (part.width, part.height) == (max(largest[0], region.width), max(largest[1], region.height))


@given(regions(), PROPORTIONS)
def test_it_has_the_margin_and_the_least_size_unless_it_is_as_large_as_can_be(
    where: tuple[Region, int, int], proportions: tuple[int, int]
) -> None:
    region, width, height = where
    part = close_up(region, width, height, *proportions)
    largest = inside(width, height, *proportions)
    if part.width < largest[0] and part.height < largest[1]:
        assert part.width >= max(96, 2 * region.width) and part.height >= max(96, 2 * region.height)


@given(regions(), PROPORTIONS)
def test_no_smaller_part_has_the_margin_and_the_least_size(
    where: tuple[Region, int, int], proportions: tuple[int, int]
) -> None:
    region, width, height = where
    part = close_up(region, width, height, *proportions)
    wanted = max(96, 2 * region.width + 1), max(96, 2 * region.height + 1)
    assert part.width <= wanted[0] or part.height <= wanted[1]


@pytest.mark.parametrize(
    ("region", "expected"),
    [
        ((300, 200, 100, 60), (250, 155, 200, 150)),
        ((0, 0, 100, 60), (0, 0, 200, 150)),
        ((540, 420, 100, 60), (440, 330, 200, 150)),
        ((320, 240, 4, 4), (258, 194, 128, 96)),
        ((100, 100, 400, 300), (0, 0, 640, 480)),
        ((0, 200, 640, 20), (0, 0, 640, 480)),
    ],
)
def test_in_a_picture_of_640_by_480(region: tuple[int, int, int, int], expected: tuple[int, int, int, int]) -> None:
    assert close_up(Region(*region, 1.0), 640, 480, 160, 120) == expected


@st.composite
def parts(draw: st.DrawFn) -> tuple[Region, CloseUp, int, int]:
    """A region and a part of the same picture, and the size that the part is scaled to."""
    (region, width, height), sides = draw(regions()), st.integers(1, 60)
    x, y = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
    part = CloseUp(x, y, draw(st.integers(1, width - x)), draw(st.integers(1, height - y)))
    return region, part, draw(sides), draw(sides)


@given(parts())
def test_a_region_is_found_again_in_a_part_that_was_scaled(where: tuple[Region, CloseUp, int, int]) -> None:
    region, part, width, height = where

    def touched(first: int, last: int, start: int, length: int, scaled: int) -> list[int]:
        """Which of the scaled pixels lie partly within [first, last), both pixels of the picture."""
        first, last = max(first - start, 0), min(last - start, length)
        return [one for one in range(scaled) if first < last and one * length < last * scaled
                and (one + 1) * length > first * scaled]  # fmt: skip

    across = touched(region.x, region.x + region.width, part.x, part.width, width)
    down = touched(region.y, region.y + region.height, part.y, part.height, height)
    found = part.locate(region, width, height)
    if not across or not down or (len(across), len(down)) == (width, height):
        assert found is None
        return
    assert found == Region(across[0], down[0], len(across), len(down), region.score, region.held)


@given(SIDES, SIDES, PROPORTIONS)
def test_the_centre_of_a_part_is_what_a_crop_cuts(width: int, height: int, proportions: tuple[int, int]) -> None:
    image = np.zeros((height, width, 3), np.uint8)
    whole = CloseUp(0, 0, width, height)
    centre, cut = whole.centre(*proportions), centre_crop(image, *proportions)
    assert centre.of(image).shape == cut.shape
    assert centre.of(image).ctypes.data == cut.ctypes.data


@pytest.mark.parametrize("box", [(-1, 0, 9, 9), (0, 0, 0, 9), (0, 0, 641, 9), (0, 472, 9, 9), (640, 0, 1, 1)])
def test_a_region_outside_the_picture_is_refused(box: tuple[int, int, int, int]) -> None:
    with pytest.raises(ImageError, match="expected a region within the picture of 640x480 pixels; got Region"):
        close_up(Region(*box, 1.0), 640, 480, 4, 3)


def test_the_part_is_a_view_of_the_picture() -> None:
    image = np.arange(6 * 8 * 3, dtype=np.uint8).reshape(6, 8, 3)
    part = CloseUp(2, 1, 4, 3).of(image)
    assert np.shares_memory(part, image)
    np.testing.assert_array_equal(part, image[1:4, 2:6])
