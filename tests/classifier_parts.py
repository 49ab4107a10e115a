"""What the tests of the classifier take for granted: the shipped bundle's labels, two thresholds, a frame of noise."""

from __future__ import annotations

import numpy as np

from edge_sdk import Frame, open_bundle

LABELS = open_bundle("trailcam").manifest.labels
NEVER, ALWAYS = 1.01, 0.0  # thresholds: no frame exits, every frame does


def frame(seed: int = 0) -> Frame:
    return Frame(np.random.default_rng(seed).integers(0, 255, (96, 128, 3), np.uint8), source=f"test {seed}")
