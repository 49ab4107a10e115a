"""A promise on new places: a test of "the cascade loses eps or more" where records of one place are alike.

Visits at one place share background, light and visitors, so a test that counts each as an independent record promises
too much. Here the independent draw is the place. For each the share of its visits that are lost less the share that
are won is one number Z in [-1, 1], whatever happens within the place; the promise is on its mean over places.

Theorem. Let places be independent draws with E[Z] >= eps, and 0 <= s < 1 / (1 - eps). Then E[1 - s (Z - eps)] <= 1 and
the factor is not negative, so the product over P places, and its mean over a fixed list of s, has an expectation of at
most 1; by Markov's inequality p = 1 / (that mean) is a valid p-value: P(p <= a) <= a. This is the capital of a bettor
against the hypothesis (Waudby-Smith & Ramdas, "Estimating means of bounded random variables by betting", J. R. Stat.
Soc. B 86, 2024, section 4), with bets that do not depend on the order of the places. It adapts to the variance: where
most places lose and win nothing, fewer places are sufficient. Half of the capital is staked as `likely_bet` advises
from other places, which costs log 2 at the most where the advice is bad. A mean loss of eps cannot be excluded by fewer
than about log(1 / delta) / eps places, by any test.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edge_sdk.workbench.cascade.curve import Bools, Floats

_BETS = np.array([0.03, 0.09, 0.27, 0.6, 0.97])
"""Shares of the largest bet, where no other places advise one."""
_ADVICE = np.linspace(0.01, 0.99, 99)
_FINEST = 1e-5


def place_losses(lost: Bools, won: Bools, places: Sequence[str] | NDArray[np.str_]) -> Floats:
    """`float64 (P,)`: by place, the share of its records that are lost less the share that are won.

    Args:
        lost: `bool (N,)`, the reference alone is right.
        won: `bool (N,)`, the cascade alone is right.
        places: of each record.
    """
    _, number = np.unique(np.asarray(places), return_inverse=True)
    change = np.asarray(lost, np.float64) - np.asarray(won, np.float64)
    result: Floats = np.bincount(number, weights=change) / np.bincount(number)
    return result


def likely_bet(losses: Floats, eps: float) -> float:
    """The bet of the fastest growth on other places, one more of which loses half of its records.

    Args:
        losses: `float64 (P,)`, of places that the test does not see.
        eps: as in `place_p_value`.

    Returns:
        a share of the largest bet, in (0, 1).
    """
    bets = _ADVICE / (1 - eps)
    growth = np.log1p(-bets[:, None] * (np.append(losses, max(0.5, eps))[None] - eps)).sum(axis=1)
    return float(_ADVICE[int(growth.argmax())])


def place_p_value(losses: Floats, eps: float, likely: float | None = None) -> float:
    """A valid p-value of "the mean of Z over places is eps or more" (see the module).

    Args:
        losses: `float64 (P,)`, of independent places, in [-1, 1].
        eps: in (-1, 1).
        likely: share of the largest bet that other places advise, in [0, 1); None: unknown.
    """
    shares = _BETS if likely is None else np.append(_BETS, likely)
    stakes = np.full(len(_BETS), 1 / len(_BETS))
    if likely is not None:
        stakes = np.append(stakes / 2, 0.5)
    capital = np.log1p(-shares[:, None] / (1 - eps) * (losses[None] - eps)).sum(axis=1)
    return float(min(1.0, np.exp(-np.logaddexp.reduce(capital + np.log(stakes)))))


def guaranteed_place_loss(losses: Floats, delta: float, others: Floats | None = None) -> float:
    """An eps of p-value at most delta, near the least, for something that was not chosen on these places; 1: none.

    Args:
        losses: `float64 (P,)`, as in `place_p_value`.
        delta: tolerated chance that the promise fails.
        others: `float64 (Q,)`, losses at other places, which advise the bets.
    """

    def value(eps: float) -> float:
        return place_p_value(losses, eps, None if others is None else likely_bet(others, eps))

    low, high = max(-0.999, float(losses.mean())), 1 - _FINEST
    if value(high) > delta:
        return 1.0
    while high - low > _FINEST:
        middle = (low + high) / 2
        low, high = (low, middle) if value(middle) <= delta else (middle, high)
    return high
