"""How far a network's answers are from those of the network that it was made from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Likeness:
    """Two networks' answers to the same pictures.

    Attributes:
        error: mean squared difference of the logits over the variance of the wanted ones; a logit's distance from the
            mean of its picture's logits counts, since what all classes share changes no answer. 0: the same.
        agreement: share of the pictures on which both name the same class.
        pictures: how many pictures there were.
    """

    error: float
    agreement: float
    pictures: int

    def better_than(self, other: Likeness) -> bool:
        """Whether the error is smaller, and the agreement no worse than chance explains (two standard errors)."""
        doubt = 2 * (self.agreement * (1 - self.agreement) / self.pictures) ** 0.5
        return self.error < other.error and self.agreement >= other.agreement - doubt


def likeness(logits: NDArray[np.floating], wanted: NDArray[np.floating]) -> Likeness:
    """Compare logits `(N, C)` with the wanted ones, `(N, C)`, N at least 1."""
    got, right = (rows - rows.mean(1, keepdims=True, dtype=np.float64) for rows in (logits, wanted))
    around = right - right.mean(0) if len(right) > 1 else right
    scale = float((around**2).sum()) or float((right**2).sum()) or 1.0
    same = float((logits.argmax(1) == wanted.argmax(1)).mean())
    return Likeness(float(((got - right) ** 2).sum()) / scale, same, len(wanted))
