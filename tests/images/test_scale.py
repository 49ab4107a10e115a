"""Scaling in integers: against exact fractions, in numpy against the compiled module, against the area's mean."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from math import floor

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge_sdk.errors import ConfigError, ImageError
from edge_sdk.images import scale as module
from edge_sdk.images.scale import LONGEST, scale, scale_plain, weights
from edge_sdk.types import Image

SIDES = st.integers(1, 40)


def picture(width: int, height: int, seed: int = 0, levels: int = 256) -> Image:
    """Noise; of two levels, the hardest contrast."""
    drawn = np.random.default_rng(seed).integers(0, levels, (height, width, 3))
    return (drawn * 255 // (levels - 1)).astype(np.uint8)


def exact_weights(m: int, n: int, i: int) -> list[Fraction]:
    """What output pixel i takes of each input pixel, in exact fractions: the rule's own words."""
    start, stop = Fraction(i * m, n), Fraction((i + 1) * m, n)
    if m >= n:
        raw = [max(Fraction(0), min(stop, Fraction(j + 1)) - max(start, Fraction(j))) for j in range(m)]
    else:
        centre = (start + stop) / 2
        raw = [max(Fraction(0), 1 - abs(j + Fraction(1, 2) - centre)) for j in range(m)]
    return [one / sum(raw) for one in raw]


def whole_weights(m: int, n: int, i: int) -> list[int]:
    """The same in whole numbers that sum to 2^14: differences of rounded running sums."""
    sums, total = [0], Fraction(0)
    for one in exact_weights(m, n, i):
        total += one
        sums.append(floor(total * 2**14 + Fraction(1, 2)))
    return [after - before for before, after in pairwise(sums)]


def by_hand(image: Image, width: int, height: int) -> NDArray[np.int64]:
    """The rule pixel by pixel, in whole numbers of any size."""
    rows, columns, _ = image.shape
    down = [whole_weights(rows, height, y) for y in range(height)]
    across = [whole_weights(columns, width, x) for x in range(width)]
    plain = image.astype(object)
    between = [[(sum(w * plain[k] for k, w in enumerate(one)) + 64) // 128] for one in down]
    return np.array(
        [
            [(sum(w * row[0][k] for k, w in enumerate(one)) + (1 << 20)) // (1 << 21) for one in across]
            for row in between
        ],
        np.int64,
    )


@given(m=SIDES, n=SIDES)
@settings(deadline=None, max_examples=40)
def test_the_weights_are_the_rounded_fractions(m: int, n: int) -> None:
    first, taps = weights(m, n)
    for i in range(n):
        row = np.zeros(m + taps.shape[1], np.int64)
        row[first[i] : first[i] + taps.shape[1]] = taps[i]
        assert row.sum() == 2**14
        assert row[:m].tolist() == whole_weights(m, n, i)
        off = max(abs(int(came) - exact * 2**14) for came, exact in zip(row, exact_weights(m, n, i), strict=False))
        assert off <= 1


@given(
    image=st.tuples(SIDES, SIDES),
    size=st.tuples(SIDES, SIDES),
    seed=st.integers(0, 99),
    levels=st.sampled_from([2, 256]),
)
@settings(deadline=None, max_examples=60)
def test_every_pixel_is_the_rules(image: tuple[int, int], size: tuple[int, int], seed: int, levels: int) -> None:
    noise = picture(*image, seed, levels)
    expected = by_hand(noise, *size)
    np.testing.assert_array_equal(scale(noise, *size), expected)
    np.testing.assert_array_equal(scale_plain(noise, *size), expected)


@given(
    image=st.tuples(st.integers(1, 700), st.integers(1, 500)),
    size=st.tuples(st.integers(1, 300), st.integers(1, 300)),
    levels=st.sampled_from([2, 256]),
)
@settings(deadline=None, max_examples=40)
def test_the_compiled_module_and_numpy_give_the_same(
    image: tuple[int, int], size: tuple[int, int], levels: int
) -> None:
    noise = picture(*image, levels=levels)
    np.testing.assert_array_equal(scale(noise, *size), scale_plain(noise, *size))


@pytest.mark.parametrize(
    ("image", "size"),
    [((1, 1), (7, 5)), ((1, 40_000), (3, 2)), ((40_000, 1), (1, 1)), ((70_000, 2), (160, 120)), ((5, 3), (2_000, 1))],
    ids=str,
)
def test_the_thinnest_and_the_largest_factors(image: tuple[int, int], size: tuple[int, int]) -> None:
    noise = picture(*image)
    came = scale(noise, *size)
    assert came.shape == (size[1], size[0], 3)
    np.testing.assert_array_equal(came, scale_plain(noise, *size))


@pytest.mark.parametrize("size", [(160, 120), (224, 224), (97, 61), (639, 479), (640, 120)], ids=str)
def test_shrinking_is_the_mean_of_the_area_within_a_rounding(size: tuple[int, int]) -> None:
    noise = picture(640, 480)
    area = cv2.resize(noise.astype(np.float64), size, interpolation=cv2.INTER_AREA)
    off = np.abs(scale(noise, *size) - area)
    assert off.max() <= 0.6  # a half is the last rounding's
    assert off.mean() <= 0.26


@pytest.mark.parametrize("size", [(640, 480), (999, 701), (321, 241)], ids=str)
def test_enlarging_is_bilinear(size: tuple[int, int]) -> None:
    noise = picture(320, 240)
    bilinear = cv2.resize(noise.astype(np.float64), size, interpolation=cv2.INTER_LINEAR)
    assert np.abs(scale(noise, *size) - bilinear).max() <= 0.6


@given(level=st.integers(0, 255), image=st.tuples(SIDES, SIDES), size=st.tuples(SIDES, SIDES))
def test_a_flat_picture_stays_flat(level: int, image: tuple[int, int], size: tuple[int, int]) -> None:
    assert (scale(np.full((image[1], image[0], 3), level, np.uint8), *size) == level).all()


def test_cuts_and_mirrored_pictures_are_taken_as_they_are() -> None:
    whole = picture(90, 70)
    cut, turned = whole[10:60, 20:80], whole.transpose(1, 0, 2)
    for view in (cut, turned, whole[::-1], whole[::2], whole[:, ::-1], whole[..., ::-1]):
        np.testing.assert_array_equal(scale(view, 33, 21), scale(view.copy(), 33, 21))
        np.testing.assert_array_equal(scale_plain(view, 33, 21), scale(view.copy(), 33, 21))
    read_only = whole[5:, 5:]
    read_only.flags.writeable = False
    assert scale(read_only, 8, 8).flags.writeable


def test_the_same_size_is_the_same_picture() -> None:
    noise = picture(9, 7)
    assert scale(noise, 9, 7) is noise
    np.testing.assert_array_equal(scale_plain(noise, 9, 7), noise)


def test_an_older_compiled_module_or_none_is_replaced_by_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = scale(picture(50, 40), 13, 11)
    monkeypatch.setattr(module, "_compiled", lambda: None)
    np.testing.assert_array_equal(scale(picture(50, 40), 13, 11), expected)


def test_what_cannot_be_scaled() -> None:
    with pytest.raises(ImageError, match=r"expected uint8 \(height, width, 3\)"):
        scale(np.zeros((4, 4), np.uint8), 2, 2)
    for size in ((0, 2), (2, -1), (LONGEST + 1, 1)):
        with pytest.raises(ConfigError, match="expected sides of 1 to 8,388,608 pixels; got 4x3 to "):
            scale(picture(4, 3), *size)
