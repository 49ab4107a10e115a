"""A weighted mean of both models' probabilities as the answer on offloaded frames."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_sdk.errors import WorkbenchError
from edge_sdk.workbench.cascade.confidence import check_labels
from edge_sdk.workbench.cascade.curve import Bools, Floats


def ensemble(little: Floats, big: Floats, weight: float) -> NDArray[np.int64]:
    """The class of the weighted mean of both models' probabilities, for offloaded frames.

    Args:
        little: `float (N, C)`.
        big: `float (N, C)`, of the same labels in the same order.
        weight: of the little model, in [0, 1]; 0 is the big model alone.
    """
    if little.shape != big.shape:
        raise WorkbenchError(f"expected probabilities of one shape from both models; got {little.shape}, {big.shape}")
    named: NDArray[np.int64] = (weight * little + (1 - weight) * big).argmax(axis=1)
    return named


def fit_ensemble(
    little: Floats, big: Floats, truths: NDArray[np.integer], *, offloaded: Bools | None = None
) -> tuple[float, float]:
    """The little model's weight in the answer on offloaded frames, of 0, 0.05 .. 0.5, and the accuracy gained by it.

    Args:
        little: `float (N, C)`.
        big: `float (N, C)`.
        truths: `int (N,)`.
        offloaded: `bool (N,)`, the records to judge by; default: all.

    Returns:
        weight, and the gain on these records over the big model alone.
    """
    check_labels(little, truths)
    chosen = np.ones(len(truths), np.bool_) if offloaded is None else offloaded
    if not chosen.any():
        return 0.0, 0.0
    weights = np.linspace(0, 0.5, 11)
    accuracy = [float((ensemble(little[chosen], big[chosen], float(w)) == truths[chosen]).mean()) for w in weights]
    best = int(np.argmax(accuracy))
    return float(weights[best]), accuracy[best] - accuracy[0]
