"""The learning rate over a training."""

from __future__ import annotations

import math


def schedule(step: int, steps: int, warmup: float) -> float:
    """Factor on the learning rate at a step: linear up over the first `warmup` of the steps, then a cosine to zero."""
    rising = max(1, round(steps * warmup))
    if step < rising:
        return (step + 1) / rising
    return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, steps - rising)))
