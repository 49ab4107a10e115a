from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk.encode import encode_jpeg, fit_size, shrink
from edge_sdk.errors import ConfigError, ImageError
from edge_sdk.image_header import read_header
from edge_sdk.images import decode_image
from edge_sdk.types import Image

SIDES = st.integers(1, 400)


def photo(width: int, height: int) -> Image:
    coarse = np.random.default_rng(1).integers(0, 255, (4, 5, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


@given(width=st.integers(1, 20_000), height=st.integers(1, 20_000), max_side=st.integers(16, 5_000))
def test_fit_size_never_enlarges_and_keeps_proportions(width: int, height: int, max_side: int) -> None:
    new_width, new_height = fit_size(width, height, max_side)
    assert max(new_width, new_height) == min(max_side, max(width, height))
    scale = max(new_width, new_height) / max(width, height)
    assert abs(new_width - width * scale) <= 1
    assert abs(new_height - height * scale) <= 1


@given(width=SIDES, height=SIDES, max_side=st.integers(16, 300), quality=st.integers(1, 100))
@settings(max_examples=40, deadline=None)
def test_the_wire_holds_the_size_asked_for(width: int, height: int, max_side: int, quality: int) -> None:
    header = read_header(encode_jpeg(photo(width, height), max_side=max_side, quality=quality))
    assert (header.format, header.width, header.height) == ("JPEG", *fit_size(width, height, max_side))
    assert header.exif == b""


def test_colours_stay_in_order_and_near() -> None:
    image = photo(640, 480)
    decoded = decode_image(encode_jpeg(image, max_side=320, quality=95)).image
    reference = cv2.resize(image, (320, 240), interpolation=cv2.INTER_AREA)
    assert np.abs(decoded.astype(int) - reference).mean() < 2


def test_lower_quality_is_smaller() -> None:
    sizes = [len(encode_jpeg(photo(640, 480), max_side=640, quality=quality)) for quality in (20, 60, 95)]
    assert sizes == sorted(sizes)


@pytest.mark.parametrize("side", [15, 0, -1, 320.0, "320"])
def test_impossible_sides(side: Any) -> None:
    with pytest.raises(ConfigError, match=f"expected max_side .* at least 16; got {side!r}"):
        encode_jpeg(photo(64, 64), max_side=side, quality=80)


@pytest.mark.parametrize("quality", [0, 101, 80.0])
def test_impossible_qualities(quality: Any) -> None:
    with pytest.raises(ConfigError, match=f"expected a JPEG quality from 1 to 100; got {quality!r}"):
        encode_jpeg(photo(64, 64), max_side=64, quality=quality)


def test_what_is_no_image_or_too_long_for_jpeg() -> None:
    with pytest.raises(ImageError, match=r"expected uint8 \(height, width, 3\)"):
        encode_jpeg(np.zeros((4, 4), np.uint8), max_side=64, quality=80)
    with pytest.raises(ImageError, match="70000x1 cannot be encoded as JPEG"):
        encode_jpeg(np.zeros((1, 70_000, 3), np.uint8), max_side=70_000, quality=80)


@given(width=st.integers(100, 900), height=st.integers(100, 900), part=st.floats(0.1, 1))
@settings(max_examples=40, deadline=None)
def test_shrink_is_the_area_average(width: int, height: int, part: float) -> None:
    image = photo(width, height)
    size = int(width * part), int(height * part)
    direct = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    difference = np.abs(shrink(image, size).astype(int) - direct)
    assert difference.mean() <= 1
    assert difference.max() <= 16
