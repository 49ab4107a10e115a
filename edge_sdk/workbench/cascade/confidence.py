"""Confidence scores from the little model's probabilities, and the temperature that calibrates them.

All scores rise with confidence, so that a frame exits at or above a threshold. Those with values in [0, 1] can stand in
a bundle's `policy.json`; the energy cannot.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from edge_sdk.errors import WorkbenchError
from edge_sdk.workbench.cascade.curve import Floats, check_records

MAX_TEMPERATURE = 20.0
_SMALLEST = 2.0**-25
_GOLDEN = (math.sqrt(5) - 1) / 2


def softmax(logits: Floats, temperature: float = 1.0) -> NDArray[np.float32]:
    """Softmax of `(N, C)` logits over the temperature, in the arithmetic of `LittleModel.predict`."""
    scaled = np.asarray(logits, np.float32) / np.float32(temperature)
    weights = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    result: NDArray[np.float32] = weights / weights.sum(axis=1, keepdims=True)
    return result


def to_logits(probabilities: Floats) -> NDArray[np.float32]:
    """Logits, up to a constant per row, of `(N, C)` probabilities that may have been stored as float16.

    The probability of the top class is taken as what the others leave, which float16 keeps more precisely where the top
    one is close to 1.
    """
    exact = np.maximum(np.asarray(probabilities, np.float64), _SMALLEST)
    rows, top = np.arange(len(exact)), exact.argmax(axis=1)
    rest = exact.sum(axis=1) - exact[rows, top]
    exact[rows, top] = np.where(rest < 0.5, 1 - rest, exact[rows, top])
    return np.log(exact).astype(np.float32)


def max_softmax(probabilities: Floats) -> Floats:
    """The top probability of `(N, C)` (Hendrycks & Gimpel, arXiv 1610.02136)."""
    result: Floats = probabilities.max(axis=1)
    return result


def margin(probabilities: Floats) -> Floats:
    """The top probability less the second of `(N, C)`."""
    ordered = np.partition(probabilities, -2, axis=1)
    result: Floats = ordered[:, -1] - ordered[:, -2]
    return result


def entropy(probabilities: Floats) -> Floats:
    """1 - entropy / log C of `(N, C)`: 1 for a single certain class, 0 for equal probabilities."""
    exact = np.asarray(probabilities, np.float64)
    held = -(exact * np.log(np.maximum(exact, 1e-300))).sum(axis=1)
    result: Floats = 1 - held / np.log(exact.shape[1])
    return result


def energy(logits: Floats) -> Floats:
    """The log of the sum of exponentials of `(N, C)` logits: minus the free energy (Liu et al., arXiv 2010.03759)."""
    exact = np.asarray(logits, np.float64)
    top = exact.max(axis=1, keepdims=True)
    result: Floats = (top + np.log(np.exp(exact - top).sum(axis=1, keepdims=True)))[:, 0]
    return result


SCORES: dict[str, Callable[[Floats], Floats]] = {"max softmax": max_softmax, "margin": margin, "entropy": entropy}
"""Scores of probabilities."""


def fit_temperature(logits: Floats, truths: NDArray[np.integer], offset: Floats | None = None) -> float:
    """The temperature, 1/20 to 20, of least negative log-likelihood (Guo et al., arXiv 1706.04599, section 4.2).

    The likelihood is concave in 1 / temperature, so bisection of its slope finds the optimum.

    Args:
        logits: `float (N, C)`.
        truths: `int (N,)`.
        offset: `float (N, C)`, added to the logits after they are divided; None: nothing.

    Raises:
        WorkbenchError: fewer than two classes, labels out of range, lengths that differ, logits that are NaN or
            infinite.
    """
    exact = np.asarray(logits, np.float64)
    check_labels(exact, truths)
    wanted = exact[np.arange(len(truths)), truths]

    def slope(inverse: float) -> float:
        scaled = inverse * exact if offset is None else inverse * exact + offset
        weights = np.exp(scaled - scaled.max(axis=1, keepdims=True))
        expected = (weights * exact).sum(axis=1) / weights.sum(axis=1)
        return float((wanted - expected).mean())

    low, high = 1 / MAX_TEMPERATURE, MAX_TEMPERATURE
    while high - low > 1e-6:
        middle = (low + high) / 2
        low, high = (middle, high) if slope(middle) > 0 else (low, middle)
    return 2 / (low + high)


def fit_looks_temperature(looks: Sequence[Floats], truths: NDArray[np.integer]) -> float:
    """As `fit_temperature`, where a model answers with the mean of the probabilities of several looks.

    That likelihood need not be concave, so `least_temperature` searches.

    Args:
        looks: each `float (N, C)` logits.
        truths: `int (N,)`.

    Raises:
        WorkbenchError: as `fit_temperature`.
    """
    for logits in looks:
        check_labels(logits, truths)

    def loss(temperature: float) -> float:
        return log_loss(np.mean([softmax(logits, temperature) for logits in looks], axis=0), truths)

    return least_temperature(loss)


def log_loss(probabilities: Floats, truths: NDArray[np.integer]) -> float:
    """The mean negative logarithm of the true class's probability, of `(N, C)`."""
    return -float(np.log(np.maximum(probabilities[np.arange(len(truths)), truths], 1e-30)).mean())


def least_temperature(loss_at: Callable[[float], float]) -> float:
    """The temperature, 1/20 to 20, of the least loss: the best of 81 is refined by golden section.

    Args:
        loss_at: the loss at a temperature.
    """

    def loss(log_temperature: float) -> float:
        return loss_at(math.exp(log_temperature))

    grid = np.linspace(-math.log(MAX_TEMPERATURE), math.log(MAX_TEMPERATURE), 81)
    middle, step = float(grid[int(np.argmin([loss(float(one)) for one in grid]))]), float(grid[1] - grid[0])
    low, high = middle - step, middle + step
    while high - low > 1e-5:
        inner, outer = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        low, high = (low, outer) if loss(inner) <= loss(outer) else (inner, high)
    return min(max(math.exp((low + high) / 2), 1 / MAX_TEMPERATURE), MAX_TEMPERATURE)


def expected_calibration_error(confidence: Floats, right: NDArray[np.bool_], bins: int = 15) -> float:
    """Mean distance of confidence and accuracy over `bins` of equal width, weighted by their frames (arXiv 1706.04599).

    Args:
        confidence: `float (N,)` in [0, 1].
        right: `bool (N,)`.
        bins: how many.
    """
    check_records(confidence=np.asarray(confidence), right=right)
    index = np.minimum((np.asarray(confidence) * bins).astype(int), bins - 1)
    gap = np.bincount(index, weights=right - np.asarray(confidence, np.float64), minlength=bins)
    return float(np.abs(gap).sum() / len(confidence))


def check_labels(scores: Floats, truths: NDArray[np.integer]) -> None:
    """Check `(N, C)` logits or probabilities against `(N,)` labels.

    Raises:
        WorkbenchError: fewer than two classes, labels out of range, lengths that differ, or a value that is NaN or
            infinite.
    """
    if scores.ndim != 2 or scores.shape[1] < 2:
        raise WorkbenchError(f"expected (N, C) scores of two or more classes; got {scores.shape}")
    check_records(truths=truths)
    if len(scores) != len(truths):
        raise WorkbenchError(f"expected as many labels as records ({len(scores)}); got {len(truths)}")
    if truths.min() < 0 or truths.max() >= scores.shape[1]:
        raise WorkbenchError(
            f"expected labels from 0 to {scores.shape[1] - 1}; got {int(truths.min())} to {int(truths.max())}"
        )
    bad = ~np.isfinite(scores).all(axis=1)
    if bad.any():
        raise WorkbenchError(f"expected finite scores; record {int(np.flatnonzero(bad)[0])} holds NaN or infinity")
