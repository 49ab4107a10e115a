"""A score test of "the cascade loses eps or more", which holds its level exactly, and the interval that goes with it.

The law. Per frame D is 1 if only the big model is right, -1 if only the cascade is, else 0; `lost` and `won` count the
first two among n independent frames, and apart = lost + won. The law has two parameters: the mean R of D, which is the
loss of accuracy, and the nuisance q = P(D != 0) >= |R|. The hypothesis is R >= eps; eps may be 0 or negative.

The statistic. z = (n eps - (lost - won)) / sqrt(n (q~ - eps^2)), q~ being the most likely q under R = eps: the larger
root of q^2 - (m + eps s) q + eps s - (1 - m) eps^2 with m = apart / n and s = (lost - won) / n (Tango, Statistics in
Medicine 17, 1998, pp. 891-908). Its law hardly depends on q, so little is lost by the worst q.

Theorem 1 (validity). Let C be the Clopper-Pearson interval of q at level 1 - beta, cut to q >= |eps|, with the point
|eps| added where eps < 0. Then p = beta + sup {P(Z >= z; R = eps, q) : q in C} is a valid p-value: under every law of
the hypothesis P(p <= a) <= a for all a.
Proof. At equal m, z falls as s rises: with e = eps and q for q~ the derivative's sign is that of
(1 - q)(q^2 - (m + e s) q + m e^2) - 2 (q - e^2)(2 q - m - e s), and q - e^2 >= q (1 - q), m + e s <= 2 q and q >= |e|
make it negative. So {Z >= c} is, at each number of frames on which the answers differ, a set {lost <= k}. Given that
number, lost is binomial with chance (1 + R / q) / 2, so raising R at equal q makes {Z >= c} less likely, and where
q >= |eps| the edge R = eps is the worst law. There p is Berger and Boos' p-value (J. Am. Stat. Assoc. 89, 1994, lemma
1): q lies outside of C with probability beta at most. For eps > 0, q < eps is outside of the hypothesis. For eps < 0
and q < |eps|, Z >= c asks for k >= 0, which holds from some number of differences on, since z at lost = 0 rises with
won; the chance of as many grows with q, and at q = |eps|, R = eps it is P(Z >= c). That point is in C.

Theorem 2 (the supremum is bounded, not searched). f(q) = P(Z >= z; R = eps, q) is a polynomial in q. Let p_1, p_-1 and
p_0 be the chances of D's three values, continued to complex q: |f| <= B(q)^n with B = |p_1| + |p_-1| + |p_0|, a convex
function, whose maximum over an ellipse is at most that over the corners of a polygon around it. The interpolant of
degree d at Chebyshev points of an interval differs from f by at most 4 M r^-d / (r - 1), where M bounds |f| on the
ellipse of parameter r around the interval (Trefethen, Approximation Theory and Approximation Practice, theorem 8.2),
and a polynomial of degree d is nowhere larger than its largest value at N Chebyshev points over cos(pi d / 2N) (Ehlich
& Zeller, Math. Zeitschrift 86, 1964). So some thirty evaluations bound the supremum from above, to a part in a
thousand.

A short cut. Where Chernoff's bound of lost - won at the upper end of q (where it is largest: the moment generating
function 1 + q (cosh t - 1) - eps sinh t rises with q) shows that a loss is far below eps, that is enough. It is paid
for: the two p-values are combined with weights 1/1000 and 999/1000 (Bonferroni), which is valid.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import special

from edge_sdk.workbench.cascade.curve import Floats

_BETA_SHARE = 1 / 200
_QUICK_SHARE = 1 / 1000
_QUICK_BETA = 1e-3
_SPREADS, _MORE = 7.5, 20
_ROUNDING = 1e-14
_TIE = 1e-9
_CORNERS = 64
_FINER = 64
_DEGREES = tuple(range(8, 400, 8))
_RATIOS = np.concatenate([np.linspace(1.1, 3, 20), np.linspace(3.25, 10, 28)])
_FINEST = 1e-6
_NEAR = 0.01
_LOOKOUT = (0.03, 0.1, 0.2, 0.4)
_MANY = 100_000


def loss_p_value(
    lost: NDArray[np.integer], won: NDArray[np.integer], records: int, eps: float, delta: float
) -> NDArray[np.float64]:
    """Valid p-values of "the cascade loses eps or more", for K thresholds at once (see the module).

    Args:
        lost: `int (K,)`, calibration records on which the big model alone is right and the cascade is not.
        won: `int (K,)`, records on which the cascade is right and the big model alone is not.
        records: n, all calibration records.
        eps: tolerated loss of accuracy, in (-1, 1).
        delta: the level at which the p-values will be compared, in (0, 1/4]; it sets how much is spent on bounding q.

    Returns:
        `float64 (K,)`, at most 1.
    """
    losses, wins = np.atleast_1d(lost).astype(np.int64), np.atleast_1d(won).astype(np.int64)
    result = _quick(losses, wins, records, eps, delta) / _QUICK_SHARE
    for index in np.flatnonzero(result > delta):
        exact = _exact(int(losses[index]), int(wins[index]), records, float(eps), float(delta)) / (1 - _QUICK_SHARE)
        result[index] = min(1.0, result[index], exact)
    return result


def guaranteed_loss(lost: int, won: int, records: int, delta: float) -> float:
    """The least eps that can be promised for one threshold that was chosen on other records.

    Args:
        lost: records on which the big model alone is right and the cascade is not.
        won: records on which the cascade is right and the big model alone is not.
        records: n, all of them.
        delta: tolerated chance that the promise fails, in (0, 1/4].

    Returns:
        eps in (-1, 1] of p-value at most delta, and no less than a hundredth of delta below it where p is continuous;
        also the bound of a one-sided confidence interval at level 1 - delta. Negative: the cascade is better by that.
    """
    spread = math.sqrt(lost + won + 1) / records

    def value(eps: float) -> float:
        return float(loss_p_value(np.array([lost]), np.array([won]), records, eps, delta)[0])

    found = _turn(value, -1.0, (lost - won) / records, spread, delta)
    for step in _LOOKOUT if records <= _MANY else ():  # of few records the p-value may rise again: the last turn counts
        probe = found + step * spread
        if probe < 1 and value(probe) > delta:
            found = _turn(value, probe, probe, spread, delta)
    return found


def _turn(value: Callable[[float], float], low: float, measured: float, spread: float, delta: float) -> float:
    """An eps above `low`, which is not promised, from which on the p-value is at most delta."""
    wanted = float(special.ndtri(1 - delta))
    high, guess = 1.0, measured + wanted * spread
    while high - low > _FINEST:
        if not low < guess < high:
            guess = (low + high) / 2
        came = value(guess)
        low, high = (low, guess) if came <= delta else (guess, high)
        if (1 - _NEAR) * delta <= came <= delta:
            break
        # The normal quantile of the p-value is nearly a line in eps.
        guess += spread * (wanted - float(special.ndtri(1 - min(max(came, 1e-12), 1 - 1e-12))) + _NEAR)
    return high


def loss_interval(lost: int, won: int, records: int, level: float = 0.95) -> tuple[float, float]:
    """The paired two-sided confidence interval of a loss of accuracy, from the same test on each side.

    Args:
        lost: records on which the reference alone is right.
        won: records on which the other alone is right.
        records: n, all of them.
        level: of the interval, in [1/2, 1).

    Returns:
        lower and upper end of the mean of (reference right - other right), in [-1, 1].
    """
    tail = (1 - level) / 2
    return -guaranteed_loss(won, lost, records, tail), guaranteed_loss(lost, won, records, tail)


def score(lost: NDArray[np.integer], apart: NDArray[np.integer], records: int, eps: float) -> Floats:
    """The statistic z, large where the loss is far below eps; 0 where nothing differs and eps is 0.

    Args:
        lost: `int (K,)`.
        apart: `int (K,)`, lost and won together.
        records: n.
        eps: mean under the hypothesis.
    """
    total = 2 * np.asarray(lost, np.float64) - apart
    middle = apart + eps * total
    inner = np.maximum(middle**2 - 4 * records * (eps * total - (records - apart) * eps**2), 0)
    likely = np.clip((middle + np.sqrt(inner)) / (2 * records), abs(eps), 1.0)
    spread = np.sqrt(records * np.maximum(likely - eps**2, 0))
    result: Floats = np.divide(records * eps - total, spread, out=np.zeros_like(total), where=spread > 0)
    return result


def _quick(
    lost: NDArray[np.int64], won: NDArray[np.int64], records: int, eps: float, delta: float
) -> NDArray[np.float64]:
    """Chernoff's bound on P(lost - won <= what came) at a bound of q, and that bound's own chance of failing."""
    beta = _QUICK_BETA * _QUICK_SHARE * delta
    total, apart = (lost - won).astype(np.float64), lost + won
    most = np.where(apart < records, special.betainccinv(apart + 1, np.maximum(records - apart, 1), beta), 1.0)
    most = np.maximum(most, abs(eps))
    up, down, same = (most + eps) / 2, (most - eps) / 2, 1 - most
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        root = np.sqrt((total * same) ** 2 + 4 * (records**2 - total**2) * up * down)
        tilt = (root - total * same) / (2 * (total + records) * down)  # e to the t that makes the bound least
        bound = total * np.log(tilt) + records * np.log(same + up / tilt + down * tilt)
        usable = (total < records * eps) & (tilt > 1) & np.isfinite(bound)
    result: NDArray[np.float64] = np.where(usable, np.exp(np.minimum(np.where(usable, bound, 0.0), 0.0)) + beta, 1.0)
    return result


@lru_cache(maxsize=65536)
def _exact(lost: int, won: int, records: int, eps: float, delta: float) -> float:
    """The p-value of theorem 1."""
    beta, apart, floor = _BETA_SHARE * delta, lost + won, abs(eps)
    low = float(special.betaincinv(apart, records - apart + 1, beta / 2)) if apart else 0.0
    high = float(special.betainccinv(apart + 1, records - apart, beta / 2)) if apart < records else 1.0
    if high < floor and eps > 0:
        return beta
    low, high = max(low, floor), max(high, floor)
    moves = _window(records, low if eps >= 0 else floor, high)
    region = _region(lost, apart, moves, records, eps)
    worst = _bound(region, moves, records, eps, low, high, _FINEST * 5)
    if eps < 0:
        worst = max(worst, float(_tails(region, moves, records, eps, np.array([floor]))[0]))
    return min(1.0, beta + worst * (1 + _ROUNDING * records))


def _region(lost: int, apart: int, moves: NDArray[np.int64], records: int, eps: float) -> NDArray[np.int64]:
    """For each number of differing frames the largest `lost` that speaks at least as clearly as what came; -1: none."""
    seen = float(score(np.array([lost]), np.array([apart]), records, eps)[0]) - _TIE
    inside, outside = np.full(len(moves), -1), moves + 1
    while (outside - inside > 1).any():
        middle = (inside + outside) // 2
        good = (score(middle, moves, records, eps) >= seen) & (middle > inside)
        inside, outside = np.where(good, middle, inside), np.where(good | (middle == inside), outside, middle)
    return inside


def _window(records: int, low: float, high: float) -> NDArray[np.int64]:
    """The numbers of differing frames that are worth a look where q is from low to high; `_tails` counts the others."""
    first = records * low - _SPREADS * math.sqrt(records * low) - _MORE
    last = records * high + _SPREADS * math.sqrt(records * high) + _MORE
    return np.arange(max(0, int(first)), min(records, int(last)) + 1)


def _tails(region: NDArray[np.int64], moves: NDArray[np.int64], records: int, eps: float, apart: Floats) -> Floats:
    """`float64 (Q,)`: P(Z >= z) at R = eps for Q values of q, with all chance outside of the window, from above."""
    shares = apart[:, None]
    ways = special.gammaln(records + 1) - special.gammaln(moves + 1) - special.gammaln(records - moves + 1)
    weights = np.exp(ways + special.xlogy(moves, shares) + special.xlog1py(records - moves, -shares))
    down = np.divide(shares - eps, 2 * shares, out=np.full_like(shares, 0.5), where=shares > 0)
    below = special.betainc(np.maximum(moves - region, 1e-9)[None], (region + 1).clip(1e-9)[None], down.clip(0, 1))
    below = np.where(region[None] >= moves[None], 1.0, np.where(region[None] < 0, 0.0, below))
    result: Floats = (weights * below).sum(axis=1) + np.maximum(1 - weights.sum(axis=1), 0)
    return result


def _bound(
    region: NDArray[np.int64],
    moves: NDArray[np.int64],
    records: int,
    eps: float,
    low: float,
    high: float,
    slack: float,
) -> float:
    """An upper bound on P(Z >= z) over all q from low to high (theorem 2)."""
    if high - low <= 1e-15:
        return float(_tails(region, moves, records, eps, np.array([high]))[0])
    middle, half = (low + high) / 2, (high - low) / 2
    degree, error = _degree(records, eps, middle, half, slack)
    if not degree:  # wider than any interval of level 1 - beta gets; halves are narrower
        ends = (low, middle), (middle, high)
        return max(_bound(region, moves, records, eps, *end, slack) for end in ends)
    nodes, finer = _chebyshev(degree)
    values = _tails(region, moves, records, eps, np.clip(middle + half * nodes, low, high))
    most = float(np.abs(finer @ values).max()) / math.cos(math.pi / (2 * _FINER))
    return most + error


def _degree(records: int, eps: float, middle: float, half: float, slack: float) -> tuple[int, float]:
    """The least degree of `_DEGREES` whose interpolant is off by at most `slack`, and by how much; 0: there is none."""
    turns = np.arange(_CORNERS) * (2 * np.pi / _CORNERS)
    wide, tall = (_RATIOS + 1 / _RATIOS) / 2, (_RATIOS - 1 / _RATIOS) / 2
    corners = (wide[:, None] * np.cos(turns) + 1j * tall[:, None] * np.sin(turns)) / math.cos(math.pi / _CORNERS)
    share = middle + half * corners
    size = np.abs(share + eps) / 2 + np.abs(share - eps) / 2 + np.abs(1 - share)
    most = records * np.log(size.max(axis=1))
    for degree in _DEGREES:
        error = float((math.log(4) + most - degree * np.log(_RATIOS) - np.log(_RATIOS - 1)).min())
        if error <= math.log(slack):
            return degree, math.exp(error)
    return 0, 1.0


@lru_cache(maxsize=64)
def _chebyshev(degree: int) -> tuple[Floats, Floats]:
    """Chebyshev points of [-1, 1], and the matrix from values there to the interpolant at `_FINER` times as many."""
    nodes = np.cos(np.pi * np.arange(degree + 1) / degree)
    orders = np.arange(degree + 1)
    halved = np.where((orders == 0) | (orders == degree), 0.5, 1.0)
    to_coefficients = 2 / degree * halved[:, None] * np.cos(np.pi * np.outer(orders, orders) / degree) * halved
    angles = np.pi * np.arange(_FINER * degree + 1) / (_FINER * degree)
    finer: Floats = np.cos(np.outer(angles, orders)) @ to_coefficients
    return nodes, finer
