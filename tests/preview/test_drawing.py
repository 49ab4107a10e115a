"""What is drawn on a picture."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.images.read import decode_image
from edge_sdk.preview.drawing import drawn, notice
from edge_sdk.types import Region

GREY = np.full((480, 640, 3), 90, np.uint8)


def is_yellow(pixel: np.ndarray) -> bool:
    red, green, blue = (int(one) for one in pixel)
    return red > 180 and green > 150 and blue < 130


def test_the_box_lies_where_the_region_is_at_the_new_size() -> None:
    shown = decode_image(drawn(GREY, (Region(200, 100, 200, 160, 1.0),), "", 320)).image
    assert shown.shape == (240, 320, 3)
    assert is_yellow(shown[90, 100]) and is_yellow(shown[50, 150])
    assert not is_yellow(shown[90, 150]) and not is_yellow(shown[90, 60])
    assert (GREY == 90).all()


@pytest.mark.parametrize("region", [(), (Region(600, 0, 40, 40, 1.0),), (Region(0, 470, 10, 10, 1.0),)])
def test_words_stay_within_the_picture(region: tuple[Region, ...]) -> None:
    shown = decode_image(drawn(GREY, region, "deer 97%", 640)).image
    yellow = (shown[:, :, 0] > 180) & (shown[:, :, 2] < 130)
    assert yellow.sum() > 1000


@given(
    text=st.text(max_size=80),
    height=st.integers(1, 60),
    width=st.integers(1, 60),
    box=st.tuples(st.integers(-20, 80), st.integers(-20, 80), st.integers(1, 90), st.integers(1, 90)),
)
def test_any_text_box_and_size(text: str, height: int, width: int, box: tuple[int, int, int, int]) -> None:
    jpeg = drawn(np.zeros((height, width, 3), np.uint8), (Region(*box, 1.0, held=height % 2 == 0),), text, 160)
    assert decode_image(jpeg).image.shape == (height, width, 3)


def test_a_notice_has_its_size_and_says_something() -> None:
    shown = decode_image(notice("Waiting for a picture", (320, 240))).image
    assert shown.shape == (240, 320, 3) and shown.max() > 150
