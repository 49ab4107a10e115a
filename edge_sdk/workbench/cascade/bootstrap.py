"""Intervals by resampling whole places, since records of one place are alike.

The bootstrap of clusters: places are drawn with replacement, each with all of its records (Davison & Hinkley, Bootstrap
Methods and their Application, 1997, section 3.8); the interval is that of the quantiles.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_sdk.errors import WorkbenchError

DRAWS = 4000


def ratio_interval(
    values: NDArray[Any],
    places: Sequence[Any] | NDArray[Any],
    per: NDArray[Any] | None = None,
    *,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[float, float]:
    """The interval of a mean over N records, or of the ratio of two sums, when whole places are drawn anew.

    Args:
        values: `(N,)`, numbers or truth values.
        places: of each record.
        per: `(N,)`, by whose sum that of the values is divided; None: the number of records.
        level: of the interval, in (0, 1).
        seed: of the draws.

    Returns:
        lower and upper end; draws whose divisor is 0 are left out.

    Raises:
        WorkbenchError: lengths differ, or there is no record.
    """
    if not len(values) or len(values) != len(places) or (per is not None and len(per) != len(values)):
        raise WorkbenchError(f"expected as many places as values, one or more; got {len(places)} and {len(values)}")
    _, number = np.unique(np.asarray(places), return_inverse=True)
    above = np.bincount(number, weights=np.asarray(values, np.float64))
    below = np.bincount(number, weights=None if per is None else np.asarray(per, np.float64)).astype(np.float64)
    drawn = np.random.default_rng(seed).integers(0, len(above), (DRAWS, len(above)))
    divisor = below[drawn].sum(axis=1)
    ratios = above[drawn].sum(axis=1)[divisor != 0] / divisor[divisor != 0]
    if not len(ratios):
        return float("nan"), float("nan")
    low, high = np.quantile(ratios, ((1 - level) / 2, (1 + level) / 2))
    return float(low), float(high)


def in_percent(values: NDArray[Any], places: Sequence[Any] | NDArray[Any], sign: str = "") -> str:
    """A mean with its 95% interval, in percent, such as "93.5 [90.6, 96.1]"; `sign` "+" shows the sign."""
    low, high = ratio_interval(values, places)
    return f"{100 * np.mean(values):{sign}.1f} [{100 * low:{sign}.1f}, {100 * high:{sign}.1f}]"
