"""The batches of a training."""

from __future__ import annotations

import numpy as np

from edge_sdk.model.bundle import InputSpec
from edge_sdk.workbench.augment import Augmentation
from edge_sdk.workbench.pixels import Pixels
from edge_sdk.workbench.train_batches import Batches

SPEC = InputSpec(8, 6, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


def pixels(count: int) -> Pixels:
    images = np.random.default_rng(0).integers(0, 256, (count, 6, 8, 3), np.uint8)
    return Pixels(("a", "b"), [(images, np.arange(count) % 2)])


def test_a_batch_depends_on_seed_and_step_alone() -> None:
    one = Batches(pixels(10), SPEC, Augmentation(), 4, seed=1)
    assert one.per_epoch == 2
    whole = list(one.between(0, 6))
    for batch, again in zip(whole[3:], one.between(3, 6), strict=True):
        assert np.array_equal(batch[0], again[0]) and np.array_equal(batch[1], again[1])
    other = Batches(pixels(10), SPEC, Augmentation(), 4, seed=2)
    assert not np.array_equal(whole[0][0], other.make(0)[0])


def test_an_epoch_shows_no_picture_twice_and_fewer_pictures_than_a_batch_are_one() -> None:
    many = pixels(12)
    same = Augmentation(flip=0.0).weaker(0.0)
    seen = np.concatenate([images for images, _ in Batches(many, SPEC, same, 4, seed=0).between(0, 3)])
    assert len(np.unique(seen.reshape(12, -1), axis=0)) == 12
    few = Batches(pixels(3), SPEC, Augmentation(), 4, seed=0)
    assert few.per_epoch == 1 and len(few.make(5)[1]) == 3
