"""Scaling of pictures in integers alone, so that every processor computes the same pixels.

The compiled module does it where it is there (`edge_sdk/native/scale.hpp`); numpy does the same, tens of times
slower, where it is not. Along each axis, from m pixels to n, an output pixel is a weighted mean of input pixels, whose
weights are exact fractions:

    m >= n  the mean of the area: input pixel j weighs as much of its length as output pixel i covers,
            min((j + 1) n, (i + 1) m) - max(j n, i m)
    m < n   bilinear: it weighs max(0, 2n - |(2j + 1) n - (2i + 1) m|)

They become whole numbers that sum to 2^14: the running sums of the weights are rounded to the nearest (halves up), and
each weight is the difference of two. The first pass is along the height and keeps 7 fraction bits, the second along the
width; each rounds to the nearest, halves up.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import cache
from typing import NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from edge_sdk.errors import ConfigError
from edge_sdk.types import Image, check_pixels

LONGEST = 1 << 23
"""Pixels a side up to which the sums of the weights fit in 64 bits."""
WEIGHT_BITS = 14
_ROW_BITS = 7


class Weights(NamedTuple):
    """What each of `n` output pixels takes along one axis.

    Attributes:
        first: `int64 (n,)`, the first input pixel.
        taps: `int32 (n, t)`, the weights of that pixel and the ones after it; each row sums to 2^14.
    """

    first: NDArray[np.int64]
    taps: NDArray[np.int32]


def scale(image: Image, width: int, height: int) -> Image:
    """A picture at another size; in one dimension or both, larger or smaller.

    Args:
        image: `uint8 (H, W, 3)`; a cut out of a larger picture is not copied first.
        width: of the result, 1 or more.
        height: of the result, 1 or more.

    Returns:
        `uint8 (height, width, 3)`, C-contiguous; `image` itself where it is both and has that size.

    Raises:
        ImageError: `image` is not such a picture.
        ConfigError: a side below 1 or above `LONGEST`.
    """
    image = check_pixels(image)
    if min(width, height) < 1 or max(width, height, *image.shape) > LONGEST:
        came = f"{image.shape[1]}x{image.shape[0]} to {width}x{height}"
        raise ConfigError(f"expected sides of 1 to {LONGEST:,} pixels; got {came}")
    if image.shape[:2] == (height, width):
        return np.ascontiguousarray(image)
    compiled = _compiled()
    if compiled is None:
        return scale_plain(image, width, height)
    return compiled(with_whole_rows(image), width, height)


def with_whole_rows(image: Image) -> Image:
    """`image` itself if the bytes of each row stand side by side, as in a cut; else a copy in which they do."""
    return image if image.strides[1:] == (3, 1) else np.ascontiguousarray(image)


def scale_plain(image: Image, width: int, height: int) -> Image:
    """The same as `scale`, in numpy."""
    down, across = weights(image.shape[0], height), weights(image.shape[1], width)
    half = 1 << (WEIGHT_BITS - _ROW_BITS - 1)
    rows = np.empty((height, image.shape[1], 3), np.int32)
    for y, (first, taps) in enumerate(zip(down.first, down.taps, strict=True)):
        part = image[first : first + len(taps)].astype(np.int32)
        rows[y] = (np.tensordot(taps[: len(part)], part, 1) + half) >> (WEIGHT_BITS - _ROW_BITS)
    bits = WEIGHT_BITS + _ROW_BITS
    total = np.full((height, width, 3), 1 << (bits - 1), np.int32)
    for k in range(across.taps.shape[1]):
        column = np.minimum(across.first + k, image.shape[1] - 1)
        total += rows[:, column] * across.taps[:, k, np.newaxis]
    return (total >> bits).astype(np.uint8)


def weights(m: int, n: int) -> Weights:
    """The weights from `m` input pixels to `n` output pixels along one axis."""
    i = np.arange(n, dtype=np.int64)[:, np.newaxis]
    if m >= n:
        first, end = i * m // n, -(-(i + 1) * m // n)
    else:
        first = np.maximum(((2 * i + 1) * m - 3 * n) // (2 * n) + 1, 0)
        end = np.minimum(((2 * i + 1) * m + n - 1) // (2 * n) + 1, m)
    j = first + np.arange((end - first).max())
    if m >= n:
        raw = np.minimum((j + 1) * n, (i + 1) * m) - np.maximum(j * n, i * m)
    else:
        raw = 2 * n - np.abs((2 * j + 1) * n - (2 * i + 1) * m)
    sums = np.cumsum(np.where(j < end, raw, 0), axis=1)
    rounded = ((sums << (WEIGHT_BITS + 1)) + sums[:, -1:]) // (2 * sums[:, -1:])
    return Weights(first[:, 0], np.diff(rounded, axis=1, prepend=0).astype(np.int32))


@cache
def _compiled() -> Callable[[Image, int, int], Image] | None:
    """The compiled module's `scale`; None where there is no such module, or an older one."""
    try:
        native = importlib.import_module("edge_sdk._native")
    except ImportError:
        return None
    return cast("Callable[[Image, int, int], Image] | None", getattr(native, "scale", None))
