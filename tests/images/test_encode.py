from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud_server.model.decode import Limits, decode
from edge_sdk.errors import ConfigError, ImageError
from edge_sdk.images.encode import encode, fit_size, shrink
from edge_sdk.images.geometry import centre_crop
from edge_sdk.images.header import read_header
from edge_sdk.images.read import decode_image
from edge_sdk.images.rendition import Upload
from edge_sdk.types import Image

SIDES = st.integers(1, 400)
FORMATS = st.sampled_from(["jpeg", "webp"])
UPLOADS = [Upload(320, 95), Upload(320, 95, "webp"), Upload(240, 90, "jpeg", (1, 1)), Upload(240, 90, "webp", (4, 5))]


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


@given(width=SIDES, height=SIDES, max_side=st.integers(16, 300), quality=st.integers(1, 100), format=FORMATS)
@settings(max_examples=60, deadline=None)
def test_the_wire_holds_the_size_asked_for(width: int, height: int, max_side: int, quality: int, format: Any) -> None:
    header = read_header(encode(photo(width, height), Upload(max_side, quality, format)))
    assert header.format.lower() == format
    assert (header.width, header.height) == fit_size(width, height, max_side)
    assert header.exif == b"" and header.complete


@pytest.mark.parametrize("upload", UPLOADS, ids=lambda upload: upload.name)
def test_colours_stay_in_order_and_near(upload: Upload) -> None:
    image = photo(640, 480)
    decoded = decode_image(encode(image, upload)).image
    reference = cv2.resize(centre_crop(image, *(upload.crop or (4, 3))), decoded.shape[1::-1])
    assert max(decoded.shape) == upload.max_side
    assert np.abs(decoded.astype(int) - reference).mean() < 4


@pytest.mark.parametrize("upload", UPLOADS, ids=lambda upload: upload.name)
def test_the_server_sees_what_the_workbench_sees_and_twice_the_same(upload: Upload) -> None:
    data = encode(photo(640, 480), upload)
    assert data == encode(photo(640, 480), upload)
    assert np.array_equal(decode(data, Limits()), decode_image(data).image)


@pytest.mark.parametrize("format", ["jpeg", "webp"])
def test_lower_quality_is_smaller(format: Any) -> None:
    sizes = [len(encode(photo(640, 480), Upload(640, quality, format))) for quality in (20, 60, 95)]
    assert sizes == sorted(sizes)


def test_webp_is_smaller_than_jpeg() -> None:
    assert len(encode(photo(640, 480), Upload(format="webp"))) < len(encode(photo(640, 480), Upload()))


def test_a_crop_sends_the_centre_alone() -> None:
    image = photo(640, 480)
    image[:, :80] = image[:, 560:] = 255
    cut = encode(image, Upload(480, 95, crop=(224, 224)))
    assert cut == encode(np.ascontiguousarray(image[:, 80:560]), Upload(480, 95))
    assert decode_image(cut).image.shape == (480, 480, 3)


@pytest.mark.parametrize("side", [15, 0, -1, 320.0, "320"])
def test_impossible_sides(side: Any) -> None:
    with pytest.raises(ConfigError, match=f"expected max_side .* at least 16; got {side!r}"):
        encode(photo(64, 64), Upload(side))


@pytest.mark.parametrize(
    ("upload", "message"),
    [
        ({"quality": 0}, "expected a quality from 1 to 100; got 0"),
        ({"quality": 101}, "got 101"),
        ({"quality": 80.0}, "got 80.0"),
        ({"format": "gif"}, "expected a format of jpeg, webp; got 'gif'"),
        ({"crop": (1, 0)}, r"expected a crop of two numbers of 1 or more; got \(1, 0\)"),
    ],
)
def test_impossible_encodings(upload: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        encode(photo(64, 64), Upload(**upload))


def test_what_is_no_image_or_too_long_for_its_format() -> None:
    with pytest.raises(ImageError, match=r"expected uint8 \(height, width, 3\)"):
        encode(np.zeros((4, 4), np.uint8), Upload(64))
    with pytest.raises(ImageError, match="70000x1 cannot be encoded as JPEG: expected sides of at most 65,535 pixels"):
        encode(np.zeros((1, 70_000, 3), np.uint8), Upload(70_000))
    with pytest.raises(ImageError, match="20000x1 cannot be encoded as WebP: expected sides of at most 16,383 pixels"):
        encode(np.zeros((1, 20_000, 3), np.uint8), Upload(70_000, format="webp"))


@given(width=st.integers(100, 900), height=st.integers(100, 900), part=st.floats(0.1, 1))
@settings(max_examples=40, deadline=None)
def test_shrink_is_the_area_average(width: int, height: int, part: float) -> None:
    image = photo(width, height)
    size = int(width * part), int(height * part)
    direct = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    difference = np.abs(shrink(image, size).astype(int) - direct)
    assert difference.mean() <= 1
    assert difference.max() <= 16
