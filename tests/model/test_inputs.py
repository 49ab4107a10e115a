"""A network's input, and how a picture becomes one."""

from __future__ import annotations

from fractions import Fraction
from math import floor

import cv2
import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_network import HEIGHT, MEAN, STD, WIDTH, picture

from edge_sdk.model.bundle import Golden, InputSpec, Manifest
from edge_sdk.model.inputs import decode_description, golden_picture, name_scaling, place, prepare

MANIFEST = Manifest(
    name="toy",
    version="1",
    labels=("empty", "deer"),
    input=InputSpec(16, 12, MEAN, STD),
    macs=1,
    parameters=1,
    golden=Golden("golden.png", (0.0, 1.0), 0.1),
)


def spec(width: int, height: int, resize: str, scaling: int = 2) -> InputSpec:
    return InputSpec(width, height, MEAN, STD, resize, scaling)  # type: ignore[arg-type]


@given(
    image=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    resize=st.sampled_from(["stretch", "crop", "letterbox"]),
    scaling=st.sampled_from([1, 2]),
)
def test_the_input_has_its_size_whatever_the_picture(
    image: tuple[int, int], size: tuple[int, int], resize: str, scaling: int
) -> None:
    came = prepare(picture(0, *image), spec(*size, resize, scaling))
    assert came.shape == (size[1], size[0], 3)
    assert came.dtype == np.uint8
    assert came.flags.c_contiguous


@given(level=st.integers(0, 255), image=st.tuples(st.integers(1, 90), st.integers(1, 90)))
def test_a_flat_picture_stays_flat(level: int, image: tuple[int, int]) -> None:
    flat = np.full((image[1], image[0], 3), level, np.uint8)
    for resize in ("stretch", "crop"):
        assert (prepare(flat, spec(16, 12, resize)) == level).all()


def test_a_picture_of_the_right_size_is_not_copied() -> None:
    image = picture()
    assert prepare(image, spec(WIDTH, HEIGHT, "stretch")) is image


def test_a_power_of_two_is_the_mean_of_squares() -> None:
    image = picture(0, 64, 48)
    squares = image.reshape(12, 4, 16, 4, 3).astype(np.float64).mean((1, 3))
    assert np.abs(prepare(image, spec(16, 12, "stretch")) - squares).max() <= 0.51
    assert np.abs(prepare(image, spec(16, 12, "stretch", 1)) - squares).max() <= 1.5  # two roundings


def test_shrinking_is_near_an_area_average() -> None:
    rough = picture(0, 640, 480)
    image = np.asarray(cv2.GaussianBlur(rough, (0, 0), 3), np.uint8)
    for size in (96, 128, 160, 224):
        area = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA).astype(np.float64)
        came = prepare(image, spec(size, size, "stretch")).astype(np.float64)
        assert np.abs(came - area).mean() < 1.0


def test_crop_takes_the_centre_and_keeps_the_aspect() -> None:
    image = np.zeros((20, 60, 3), np.uint8)
    image[:, 20:40] = 200
    assert (prepare(image, spec(10, 10, "crop")) == 200).all()
    assert (prepare(image.transpose(1, 0, 2), spec(10, 10, "crop")) == 200).all()


def test_letterbox_shows_all_and_fills_with_the_mean() -> None:
    image = np.full((20, 40, 3), 200, np.uint8)
    came = prepare(image, spec(16, 16, "letterbox"))
    assert (came[4:12] == 200).all()
    assert (came[:4] == [124, 116, 104]).all()
    assert (came[12:] == [124, 116, 104]).all()


def test_the_thinnest_pictures_pass() -> None:
    for resize in ("stretch", "crop", "letterbox"):
        for image in (picture(0, 1, 5000), picture(0, 5000, 1), picture(0, 1, 1)):
            assert prepare(image, spec(16, 12, resize)).shape == (12, 16, 3)


SIDES = st.integers(1, 5_000)


@given(image=st.tuples(SIDES, SIDES), size=st.tuples(SIDES, SIDES))
def test_a_letterbox_is_the_nearest_whole_size_in_the_middle(image: tuple[int, int], size: tuple[int, int]) -> None:
    blank = np.broadcast_to(np.uint8(0), (image[1], image[0], 3))
    placed = place(blank, spec(*size, "letterbox"))
    share = min(Fraction(size[0], image[0]), Fraction(size[1], image[1]))
    for came, side, left, room in (
        (placed.width, image[0], placed.left, size[0]),
        (placed.height, image[1], placed.top, size[1]),
    ):
        assert came == max(1, floor(side * share + Fraction(1, 2)))
        assert left == (room - came) // 2
    assert placed.cut is blank


def test_the_golden_picture_is_the_one_that_came_up_to_a_bound() -> None:
    small = picture(0, 500, 300)
    assert golden_picture(small, spec(16, 12, "stretch")) is small
    assert golden_picture(picture(0, 1300, 650), spec(16, 12, "stretch")).shape == (320, 640, 3)
    assert golden_picture(picture(0, 3000, 750), spec(700, 700, "crop")).shape == (350, 1400, 3)
    assert golden_picture(small, spec(16, 12, "crop", 1)).shape == (12, 16, 3)


def test_a_description_that_names_no_scaling_rule_means_the_first() -> None:
    plain = msgspec.to_builtins(MANIFEST)
    assert MANIFEST.input.scaling == 2
    assert decode_description(msgspec.json.encode(plain), Manifest) == MANIFEST
    del plain["input"]["scaling"]
    assert decode_description(msgspec.json.encode(plain), Manifest).input.scaling == 1
    assert name_scaling([1, 2]) == [1, 2]


def test_an_unknown_scaling_rule_is_refused() -> None:
    plain = msgspec.to_builtins(MANIFEST)
    plain["input"]["scaling"] = 3
    with pytest.raises(msgspec.ValidationError, match=r"Invalid enum value 3 - at `\$.input.scaling`"):
        decode_description(msgspec.json.encode(plain), Manifest)
