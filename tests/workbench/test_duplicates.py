"""Pictures that are there twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk.types import Image
from edge_sdk.workbench.duplicates import (
    LEAST_CORRELATION,
    MOST_BITS,
    Pair,
    difference_hashes,
    find_pairs,
    thumbnail,
)


def scene(seed: int, side: int = 96) -> Image:
    """A picture with large and small shapes."""
    rng = np.random.default_rng(seed)
    coarse = cv2.resize(rng.integers(0, 256, (6, 8, 3), np.uint8), (side * 4 // 3, side), interpolation=cv2.INTER_CUBIC)
    fine = cv2.resize(rng.integers(0, 60, (24, 32, 3), np.uint8), (side * 4 // 3, side), interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.add(coarse, fine), np.uint8)


def recompressed(image: Image) -> Image:
    return np.asarray(cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 40])[1], 1), np.uint8)


COPIES: dict[str, Callable[[Image], Any]] = {
    "the same": lambda image: image.copy(),
    "recompressed": recompressed,
    "smaller": lambda image: cv2.resize(image, (64, 48), interpolation=cv2.INTER_AREA),
    "brighter": lambda image: cv2.convertScaleAbs(image, alpha=0.9, beta=20),
}


@pytest.mark.parametrize("how", COPIES)
def test_copies_are_found_and_other_pictures_are_not(how: str) -> None:
    images = [scene(seed) for seed in range(40)]
    copies = [COPIES[how](image) for image in images[:10]]
    pairs = find_pairs(np.stack([thumbnail(image) for image in images + copies]))
    assert [(pair.first, pair.second) for pair in pairs] == [(index, 40 + index) for index in range(10)]
    if how == "the same":
        assert all(pair.same for pair in pairs)


def plainly(thumbnails: np.ndarray) -> set[tuple[int, int]]:
    """Near-duplicates by comparing all pairs."""
    hashes, flat = difference_hashes(thumbnails), thumbnails.reshape(len(thumbnails), -1).astype(np.float64)
    found = set()
    for one in range(len(flat)):
        for other in range(one + 1, len(flat)):
            clear = min(flat[one].std(), flat[other].std()) >= 4
            bits = int(hashes[one] ^ hashes[other]).bit_count()
            if clear and bits <= MOST_BITS and np.corrcoef(flat[one], flat[other])[0, 1] >= LEAST_CORRELATION:
                found.add((one, other))
    return found


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 1 << 30), st.integers(2, 40))
def test_the_bands_of_the_hash_lose_no_pair(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    seeds = [thumbnail(scene(int(one))).astype(np.int16) for one in rng.integers(0, 4, count)]
    noisy = np.stack([np.clip(one + rng.normal(0, rng.uniform(0, 12), one.shape), 0, 255) for one in seeds])
    thumbnails = noisy.astype(np.uint8)
    wanted = plainly(thumbnails)
    equal = {pair for pair in wanted if (thumbnails[pair[0]] == thumbnails[pair[1]]).all()}
    near = {(pair.first, pair.second) for pair in find_pairs(thumbnails) if not pair.same}
    assert near - equal == wanted - equal


def test_pictures_without_contrast_are_twins_only_if_they_are_equal() -> None:
    flat = [np.full((16, 16), level, np.uint8) for level in (10, 10, 11)]
    assert find_pairs(np.stack(flat)) == [Pair(0, 1, True)]
    assert find_pairs(np.stack(flat[:1])) == [] == find_pairs(np.zeros((0, 16, 16), np.uint8))


def test_a_crowd_of_like_frames_is_compared_with_its_neighbours_alone() -> None:
    rng = np.random.default_rng(0)
    crowd = np.repeat(thumbnail(scene(0))[None], 2100, 0)
    crowd[np.arange(2100), rng.integers(0, 16, 2100), rng.integers(0, 16, 2100)] ^= 1
    pairs = find_pairs(crowd)
    assert {pair.first for pair in pairs} | {pair.second for pair in pairs} == set(range(2100))
    assert len(pairs) < 2100 * 64 * 2  # and not two millions
