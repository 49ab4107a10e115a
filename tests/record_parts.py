"""Records of a pair of models, made up."""

from __future__ import annotations

import numpy as np

from edge_sdk.workbench.records import Records, RecordsInfo, from_logits

LABELS = ("a", "b", "c")


def pair(count: int = 3000, seed: int = 0, *, hopeless: bool = False, scale: float = 1.0) -> tuple[Records, Records]:
    """A little model that knows when it is unsure, and a better big one."""
    rng = np.random.default_rng(seed)
    truths = rng.integers(0, 3, count)
    logits = rng.normal(0, 1, (count, 3)).astype(np.float32)
    logits[np.arange(count), truths] += rng.choice([0.5, 4.0], count)
    named = logits.argmax(axis=1)
    cloud = rng.normal(0, 1, (count, 3)).astype(np.float32)
    cloud[np.arange(count), truths] += 4.0
    if hopeless:  # where the little model says "a", the big one says the same
        cloud[named == 0] = logits[named == 0] * 5
    ids = [f"{index:05d}" for index in range(count)]
    little = from_logits(RecordsInfo(model="little", labels=LABELS, macs=10), ids, list(truths), logits * scale)
    sizes = list(rng.integers(9_000, 11_000, count))
    big = from_logits(RecordsInfo(model="big", labels=LABELS, macs=100), ids, list(truths), cloud, sizes)
    return little, big
