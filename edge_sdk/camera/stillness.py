"""Whether a live camera's picture is the same to the last pixel: an old one, sent again and again."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

FROZEN_S = 10.0
_STEP = 8  # pixels between those that are compared first
_FEWEST = 3  # equal pictures
_LONGEST_PAUSE_S = 600.0


class Stillness:
    """Compares each picture with the one before. A sensor's noise makes any two pictures differ.

    Args:
        limit_s: a picture that has been the same for this long, at least three times in a row, is frozen; None: never.
        clock: steady seconds.

    Attributes:
        pictures: equal pictures in a row.
        is_frozen: whether the limit is reached.
    """

    def __init__(self, limit_s: float | None = FROZEN_S, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit_s = limit_s
        self._clock = clock
        self._sample: NDArray[np.uint8] | None = None
        self._sum: int | None = None
        self._since_s = 0.0
        self._next_s = 0.0
        self.pictures = 0
        self.is_frozen = False

    def look(self, image: NDArray[np.uint8]) -> float | None:
        """Take in the next picture; where one that was frozen has changed, the seconds that it stood still."""
        if self._limit_s is None:
            return None
        now_s = self._clock()
        if self._is_same(image):
            self.pictures += 1
            if not self.is_frozen and self.pictures >= _FEWEST and now_s - self._since_s >= self._limit_s:
                self.is_frozen, self._next_s = True, now_s
            return None
        length_s = now_s - self._since_s if self.is_frozen else None
        self.pictures, self.is_frozen, self._since_s = 1, False, now_s
        return length_s

    def length_s(self) -> float:
        """Seconds for which the picture has been the same."""
        return self._clock() - self._since_s

    def is_due(self) -> bool:
        """Whether a frozen picture should be told (again): when it is noticed, then after pauses that double."""
        now_s = self._clock()
        if not self.is_frozen or now_s < self._next_s:
            return False
        self._next_s = now_s + min(now_s - self._since_s, _LONGEST_PAUSE_S)
        return True

    def _is_same(self, image: NDArray[np.uint8]) -> bool:
        before, self._sample = self._sample, image[::_STEP, ::_STEP].copy()
        if before is None or not np.array_equal(before, self._sample):
            self._sum = None
            return False
        # Sums of whole pictures are made only while the samples are equal: not in a camera that works.
        sum_before, self._sum = self._sum, zlib.crc32(np.ascontiguousarray(image).data)
        return sum_before is None or sum_before == self._sum
