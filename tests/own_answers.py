"""What a big model says of each picture alone, to compare batches with."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cloud_server.model.big import BigModel
from edge_sdk.types import Image


def pictures_that_differ(model: BigModel, count: int) -> tuple[list[Image], NDArray[np.float32]]:
    """Pictures of a model's size, and what it says of each when it is asked for that one alone."""
    coarse = np.random.default_rng(1).integers(0, 256, (count, 8, 8, 3), np.uint8)
    pictures = list(coarse.repeat(model.input_height // 8, axis=1).repeat(model.input_width // 8, axis=2))
    alone = np.concatenate([model.run([one], [None])[0] for one in pictures])
    assert np.ptp(alone, axis=0).max() > 1e-4, "they differ"
    return pictures, alone
