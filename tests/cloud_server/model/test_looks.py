"""What of a picture the big model looks at."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud_server.model.looks import Look, looks_of
from edge_sdk.images.close_up import close_up
from edge_sdk.types import Region

PICTURE = np.arange(300 * 400 * 3, dtype=np.uint32).reshape(300, 400, 3).astype(np.uint8)
INSIDE = Region(100, 120, 30, 20, 1.0)
WHOLE = [(300, 400, 3)]


@pytest.mark.parametrize(
    ("look", "region", "shapes"),
    [
        (Look.AUTO, None, WHOLE),
        (Look.REGION, None, WHOLE),
        (Look.AUTO, INSIDE, [*WHOLE, (96, 96, 3)]),
        (Look.BOTH, INSIDE, [*WHOLE, (96, 96, 3)]),
        (Look.REGION, INSIDE, [(96, 96, 3)]),
        (Look.FRAME, INSIDE, WHOLE),
        (Look.BOTH, Region(0, 0, 400, 300, 1.0), WHOLE),
        (Look.REGION, Region(0, 0, 400, 300, 1.0), WHOLE),
        (Look.BOTH, Region(0, 0, 5000, 3000, 1.0), WHOLE),
        (Look.BOTH, Region(400, 0, 10, 10, 1.0), WHOLE),
        (Look.BOTH, Region(390, 290, 2**32 - 1, 2**32 - 1, 1.0), [*WHOLE, (96, 96, 3)]),
    ],
)
def test_one_look_or_two(look: Look, region: Region | None, shapes: list[tuple[int, ...]]) -> None:
    looks = looks_of(PICTURE, region, look, 64, 64)
    assert [one.shape for one in looks] == shapes
    assert all(np.shares_memory(one, PICTURE) for one in looks)


def test_the_second_look_has_the_models_proportions() -> None:
    _, near = looks_of(PICTURE, INSIDE, Look.BOTH, 2, 1)
    np.testing.assert_array_equal(near, close_up(INSIDE, 400, 300, 2, 1).of(PICTURE))


def test_surroundings_that_are_the_whole_picture_are_looked_at_once() -> None:
    region = Region(60, 60, 300, 200, 1.0)
    assert len(looks_of(PICTURE, region, Look.BOTH, 4, 3)) == 1
    assert len(looks_of(PICTURE, region, Look.BOTH, 1, 1)) == 2


@given(*[st.integers(0, 2**32 - 1)] * 2, *[st.integers(1, 2**32 - 1)] * 2, st.sampled_from(Look))
def test_no_region_that_fits_the_wire_makes_it_fail(x: int, y: int, width: int, height: int, look: Look) -> None:
    looks = looks_of(PICTURE, Region(x, y, width, height, 1.0), look, 96, 96)
    assert 1 <= len(looks) <= 2 and all(min(one.shape) > 0 for one in looks)
