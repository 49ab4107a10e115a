"""Pictures that are there twice: the same pixels, or nearly the same, in two splits or under two classes.

A picture that is in the training split and in the test split flatters what is measured; one that lies under two classes
is wrong under one of them. Frames of one burst look alike too: where a hash of the name divides a folder, they are in
both.

Each picture is reduced to 16x16 grey levels and to a difference hash of 64 bits: whether each of 8x8 fields is darker
than its right neighbour (Krawetz, "Kind of like that", 2013). Pictures whose hashes differ in at most seven bits agree
in one of eight bands of the hash, so that only pictures of one band are compared; two are near-duplicates if their grey
levels, less mean and contrast, correlate at 0.975 or more: of the 200 million pairs of 20,000 small photos two do, both
of one scene. Recompressed, resized and slightly brightened copies are found; cut and mirrored ones are not. Pictures
without contrast (a lens cap, fog) are compared for equal pixels alone, and of thousands that agree in a band each is
compared with the 64 next ones in the order of their hashes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_sdk.types import Image

SIDE = 16
MOST_BITS = 7
LEAST_CORRELATION = 0.975
_LEAST_CONTRAST = 4.0  # standard deviation of the grey levels
_BANDS = MOST_BITS + 1
_CROWD = 2000  # members of a band beyond which not all pairs are compared
_NEXT = 64


@dataclass(frozen=True, slots=True)
class Pair:
    """Two pictures that are one.

    Attributes:
        first: index of the one.
        second: index of the other, greater than `first`.
        same: their grey levels are equal; else they are nearly so.
    """

    first: int
    second: int
    same: bool


def thumbnail(image: Image) -> NDArray[np.uint8]:
    """Grey levels `uint8 (16, 16)` of a picture `uint8 (H, W, 3)`, RGB."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)


def difference_hashes(thumbnails: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """The hash `uint64 (N,)` of each thumbnail `uint8 (N, 16, 16)`."""
    count = len(thumbnails)
    rows = thumbnails.reshape(count, 8, 2, SIDE).astype(np.int32).sum(2)
    wide = np.stack([cv2.resize(row.astype(np.float32), (9, 8), interpolation=cv2.INTER_AREA) for row in rows])
    bits = (wide[:, :, :-1] < wide[:, :, 1:]).reshape(count, 64)
    return np.packbits(bits, axis=1).view(np.uint64).reshape(count)


def find_pairs(thumbnails: NDArray[np.uint8]) -> list[Pair]:
    """All pairs of pictures that are the same or nearly the same, in order.

    Args:
        thumbnails: `uint8 (N, 16, 16)`.
    """
    if len(thumbnails) < 2:
        return []
    flat = thumbnails.reshape(len(thumbnails), -1).astype(np.float32)
    centred = flat - flat.mean(1, keepdims=True)
    contrast = np.sqrt((centred**2).mean(1))
    centred /= np.maximum(contrast, 1e-6)[:, None] * SIDE  # of length 1
    found: dict[tuple[int, int], bool] = {}
    for one, other in _equal(thumbnails):
        found[(one, other)] = True
    clear = np.flatnonzero(contrast >= _LEAST_CONTRAST)
    hashes = difference_hashes(thumbnails[clear]) if len(clear) else np.zeros(0, np.uint64)
    for ones, others in _candidates(hashes):
        near = np.bitwise_count(hashes[ones] ^ hashes[others]) <= MOST_BITS
        first, second = clear[ones[near]], clear[others[near]]
        alike = np.einsum("nk,nk->n", centred[first], centred[second]) >= LEAST_CORRELATION
        for one, other in zip(first[alike].tolist(), second[alike].tolist(), strict=True):
            found.setdefault((min(one, other), max(one, other)), False)
    return [Pair(one, other, same) for (one, other), same in sorted(found.items())]


def _equal(thumbnails: NDArray[np.uint8]) -> Iterator[tuple[int, int]]:
    """Neighbours among pictures of equal grey levels: of k equal ones k - 1 pairs."""
    last: dict[bytes, int] = {}
    for index, one in enumerate(thumbnails):
        content = one.tobytes()
        if content in last:
            yield last[content], index
        last[content] = index


def _candidates(hashes: NDArray[np.uint64]) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Pairs that agree in a band of the hash, some at a time."""
    edges = np.linspace(0, 64, _BANDS + 1).round().astype(int).tolist()
    for low, high in pairwise(edges):
        band = (hashes >> np.uint64(low)) & np.uint64((1 << (high - low)) - 1)
        order = np.lexsort((hashes, band))
        starts = np.flatnonzero(np.concatenate([[True], np.diff(band[order]) != 0, [True]])).tolist()
        for start, stop in pairwise(starts):
            members = order[start:stop]
            if len(members) <= _CROWD:
                ones, others = np.triu_indices(len(members), 1)
                yield members[ones], members[others]
            else:
                for step in range(1, _NEXT + 1):
                    yield members[:-step], members[step:]
