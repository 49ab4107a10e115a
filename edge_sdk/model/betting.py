"""Bounds on a share that hold at every moment, from units drawn with known chances: testing by betting.

Units come one after another. Of each a 0 or 1 could be known, `y`; unit `i` is drawn with chance `p_i` and then looked
at. `z_i = y_i / p_i` if it was drawn, else 0, has the mean of `y_i` whatever the chances are (Horvitz & Thompson 1952).
A gambler who bets `b` on "the share is above m" has after n units the capital

    prod (1 + b (z_i - m)),        b in [0, 1 / m)

and one who bets on "the share is below m" the capital `prod (1 - b (z_i - m))`, `b` at most the least `p_i`. If every
unit has, given those before it, a chance of 1 that is at most (at least) m, such a capital is a non-negative
supermartingale that begins at 1: by Ville's inequality it ever reaches 1 / delta with probability delta or less,
however often one looks. Waudby-Smith & Ramdas, "Estimating means of bounded random variables by betting", JRSS-B 86
(2024), section 4, and with known chances Waudby-Smith, Wu, Ramdas, Karampatziakis & Mineiro, "Anytime-valid off-policy
inference for contextual bandits", ACM/IMS J. Data Sci. 1 (2024), section 2.

Here the capital is shared out beforehand over a fixed list of bets, and the sum is looked at. This costs a little power
against bets that learn, and buys three things:

- it depends on counts alone, so it is computed from a table of frames at any time and needs no state of its own;
- it rises with each `z_i`: a unit that was drawn and is not known (yet) is counted as 0 by a bet on "above", as 1 by
  one on "below". So late and lost answers make the bounds wider and never wrong, whatever the reason they are missing;
- a bet on "below" that a unit with a smaller chance than all before makes too large is given up, with its capital,
  before that unit is looked at. This keeps the supermartingale, so the chances need no bound that is known beforehand.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_STEPS = np.arange(-20, 29)
BETS: Floats = 0.01 * 2.0 ** (_STEPS / 2)
"""`float64 (L,)`: from 1e-5 to 164, half an octave apart. The best bet on "above" is about the chance of a draw times
the share's growth over m."""
LOG_SHARES: Floats = -np.log(4.0 + np.abs(_STEPS))
LOG_SHARES -= np.logaddexp.reduce(LOG_SHARES)
_BISECTIONS = 40
_NOTHING = 1e-300  # of a bet of all the capital that is lost


def log_gains_above(
    units: NDArray[np.int64] | np.int64, ones: NDArray[np.int64], chances: Floats, share: float
) -> Floats:
    """Log of the factor by which each bet on "the share is above `share`" has grown.

    Args:
        units: `int64 (...)`, units so far.
        ones: `int64 (..., H)`, of these the known ones by chance.
        chances: `float64 (H,)`, the chances, in (0, 1].
        share: m, in [0, 1).

    Returns:
        `float64 (..., B)` for the B bets that m allows, the first of `BETS`.
    """
    bets = BETS[BETS * share < 1]
    zeros = np.asarray(units) - ones.sum(axis=-1)
    gains: Floats = ones @ np.log1p(np.outer(1 / chances - share, bets)) + zeros[..., None] * np.log1p(-bets * share)
    return gains


def log_sum(gains: Floats) -> Floats:
    """Log of the whole capital, of those of the first B bets: `float64 (..., B)` to `(...)`."""
    result: Floats = np.logaddexp.reduce(gains + LOG_SHARES[: gains.shape[-1]], axis=-1)
    return result


def log_capital_above(
    units: NDArray[np.int64] | np.int64, ones: NDArray[np.int64], chances: Floats, share: float
) -> Floats:
    """Log of the capital of the bets on "the share is above `share`": `float64 (...)`, as in `log_gains_above`."""
    return log_sum(log_gains_above(units, ones, chances, share))


def log_capital_below(
    units: NDArray[np.int64] | np.int64, ones: NDArray[np.int64], chances: Floats, least: float, share: float
) -> Floats:
    """Log of the capital of the bets on "the share is below `share`".

    Args:
        units: `int64 (...)`, units so far.
        ones: `int64 (..., H)`, of these the ones, and those drawn and not known, by chance.
        chances: `float64 (H,)`.
        least: the least chance of any unit so far.
        share: m, in (0, 1].

    Returns:
        `float64 (...)`; minus infinity where all bets were given up.
    """
    fit = least >= BETS
    if not fit.any():
        return np.full(np.shape(units), -np.inf)
    bets = BETS[fit]
    zeros = np.asarray(units) - ones.sum(axis=-1)
    lost = np.log(np.maximum(_NOTHING, 1 - np.outer(1 / chances - share, bets)))
    return log_sum(ones @ lost + zeros[..., None] * np.log1p(bets * share))


def bounds(
    units: int, ones: NDArray[np.int64], doubts: NDArray[np.int64], chances: Floats, least: float, delta: float
) -> tuple[float, float]:
    """An interval that holds the share at all times together with probability 1 - `delta`.

    Args:
        units: so far.
        ones: `int64 (H,)`, known ones by chance.
        doubts: `int64 (H,)`, drawn and not known, by chance.
        chances: `float64 (H,)`, the chances of those in `ones` and `doubts`.
        least: the least chance of any unit so far.
        delta: in (0, 1), half of it for each end.
    """
    if not units:
        return 0.0, 1.0
    count, enough = np.int64(units), math.log(2 / delta)
    high_ones = ones + doubts

    def too_low(share: float) -> bool:
        return bool(log_capital_above(count, ones, chances, share) >= enough)

    def not_too_high(share: float) -> bool:
        return bool(log_capital_below(count, high_ones, chances, least, share) < enough)

    low = _last(too_low) if ones.any() else 0.0
    return low, 1.0 if not_too_high(1.0) else _last(not_too_high)


def _last(holds: Callable[[float], bool]) -> float:
    """The greatest share in [0, 1] at which a condition holds that holds below it and not above."""
    below, above = 0.0, 1.0
    for _ in range(_BISECTIONS):
        middle = (below + above) / 2
        below, above = (middle, above) if holds(middle) else (below, middle)
    return below
