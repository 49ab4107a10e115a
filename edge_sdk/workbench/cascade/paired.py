"""The difference of two accuracies on the same pictures, with its interval."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from edge_sdk.workbench.cascade.curve import check_records
from edge_sdk.workbench.cascade.score_test import loss_interval


@dataclass(frozen=True, slots=True)
class Difference:
    """One accuracy less another, on the same pictures.

    Attributes:
        value: the difference, a share of the pictures.
        low: lower end of its 95% interval (score test, exact).
        high: upper end.
        p_value: two-sided, of "they are equally good" (McNemar, exact).
    """

    value: float
    low: float
    high: float
    p_value: float

    def points(self) -> str:
        """`+1.2 points (95%: -0.3 to +2.8)`."""
        return f"{100 * self.value:+.1f} points (95%: {100 * self.low:+.1f} to {100 * self.high:+.1f})"


def paired_difference(right: NDArray[np.bool_], other: NDArray[np.bool_]) -> Difference:
    """Compare two models, or two ways to use one, on the same pictures.

    The interval is that of the exact score test (`edge_sdk.workbench.cascade.score_test`), which holds its level for
    any number of pictures. Other than the bootstrap's it has a width where the two never differ.

    Args:
        right: `bool (N,)`, whether the answer of the one is right.
        other: `bool (N,)`, of the other.

    Raises:
        WorkbenchError: arrays that do not fit.
    """
    check_records(right=right, other=other)
    count, won, lost = len(right), int((right & ~other).sum()), int((other & ~right).sum())
    low, high = loss_interval(won, lost, count)  # of the other against the one
    p_value = float(stats.binomtest(won, won + lost).pvalue) if won + lost else 1.0
    return Difference((won - lost) / count, low, high, p_value)
