"""The batches of a training: each depends on seed and step alone, so a resumed training sees the same ones."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from edge_sdk.model.bundle import InputSpec
from edge_sdk.workbench.augment import Augmentation
from edge_sdk.workbench.pixels import Pixels
from edge_sdk.workbench.tensors import scaled

Batch = tuple[NDArray[np.uint8], NDArray[np.int64]]
"""Pictures `uint8 (n, height, width, 3)`, and the index of each one's class."""


class Batches:
    """Augmented batches of pictures."""

    def __init__(self, pixels: Pixels, spec: InputSpec, augmentation: Augmentation, size: int, seed: int) -> None:
        """Make batches of these.

        Args:
            pixels: pictures and classes.
            spec: size to which each is scaled before it is changed.
            augmentation: the changes.
            size: pictures per batch; the last, smaller one of an epoch is left out.
            seed: of order and changes.
        """
        self._pixels, self._spec, self._augmentation = pixels, spec, augmentation
        self._size, self._seed = size, seed
        self.per_epoch = max(1, len(pixels) // size)

    def between(self, first: int, last: int) -> Iterator[Batch]:
        """The batches of steps `first` to `last` - 1; the next one is prepared while the present one is learnt."""
        with ThreadPoolExecutor(1) as maker:
            upcoming = maker.submit(self.make, first)
            for step in range(first, last):
                batch = upcoming.result()
                if step + 1 < last:
                    upcoming = maker.submit(self.make, step + 1)
                yield batch

    def make(self, step: int) -> Batch:
        """The batch of one step."""
        epoch, place = divmod(step, self.per_epoch)
        order = np.random.default_rng([self._seed, 1, epoch]).permutation(len(self._pixels))
        chosen = order[place * self._size : (place + 1) * self._size]
        rng = np.random.default_rng([self._seed, 2, step])
        images = scaled(np.stack([self._pixels.image(int(index)) for index in chosen]), self._spec)
        return np.stack([self._augmentation.apply(image, rng) for image in images]), self._pixels.truths[chosen]
