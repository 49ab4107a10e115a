"""Of a pixelated part nothing but its cells' means is left, and the rest of the picture is as before."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.images.pixelate import pixelate
from edge_sdk.types import Region

REGIONS = st.builds(
    Region,
    x=st.integers(-20, 60),
    y=st.integers(-20, 60),
    width=st.integers(1, 90),
    height=st.integers(1, 90),
    score=st.just(1.0),
)


@given(st.lists(REGIONS, max_size=3), st.integers(1, 8), st.sampled_from([0.0, 0.5]), st.integers(0, 5))
def test_few_colours_within_and_all_as_it_was_outside(
    regions: list[Region], cells: int, margin: float, seed: int
) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (48, 64, 3), np.uint8)
    before = image.copy()
    shown = pixelate(image, regions, cells, margin=margin)
    assert np.array_equal(image, before) and shown.dtype == np.uint8
    outside = np.ones((48, 64), bool)
    for region in regions:
        across, down = round(margin * region.width), round(margin * region.height)
        outside[
            max(0, region.y - down) : max(0, region.y + region.height + down),
            max(0, region.x - across) : max(0, region.x + region.width + across),
        ] = False
    assert np.array_equal(shown[outside], image[outside])
    if len(regions) == 1:
        assert len(np.unique(shown[~outside], axis=0)) <= cells * cells


def test_cells_hold_means_and_pictures_of_the_same_means_become_one() -> None:
    rng = np.random.default_rng(1)
    one = rng.integers(0, 256, (40, 40, 3), np.uint8)
    other = one.copy()
    for top in range(0, 40, 10):
        for left in range(0, 40, 10):  # shuffle the pixels of each cell
            cell = one[top : top + 10, left : left + 10].reshape(-1, 3)
            other[top : top + 10, left : left + 10] = rng.permutation(cell).reshape(10, 10, 3)
    everything = [Region(0, 0, 40, 40, 1.0)]
    shown = pixelate(one, everything, 4)
    assert not np.array_equal(one, other) and np.array_equal(shown, pixelate(other, everything, 4))
    assert np.abs(shown[5, 5].astype(float) - one[:10, :10].reshape(-1, 3).mean(axis=0)).max() <= 1
