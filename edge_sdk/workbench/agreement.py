"""How often the frames, or events, that exit are answered otherwise than by the big model, for the policy.

It needs no labels. In service the same share is measured by audits (`edge_sdk.model.evidence`), which raise an alarm
where it is above what calibration found possible. Service is at one place, and places differ: where a branch waves, the
models differ more often from the first day on. So the bound is one for a place: the shares of places are taken to be
beta-distributed, so that the numbers at the calibration's places are beta-binomial (Williams, "The analysis of binary
responses from toxicological experiments", Biometrics 31, 1975), and nineteen of twenty places lie below the bound. Its
mean is the upper end of the interval of Clopper & Pearson (Biometrika 26, 1934) for as many exits as those of the
evaluation part are worth, given how alike exits of one place are (the design effect; Rao & Scott, "A simple method for
the analysis of clustered binary data", Biometrics 48, 1992). Where exits of one place are not alike, the bound is that
interval's end.

One cause makes many differences: a branch that waves all day is a bird each time. As the alarm does
(`edge_sdk.store.audits`), the bound counts those of one place and day, on which the device says the same class and the
big model the same other one, once.

The threshold was chosen on the same frames, by labels and not by this share; the bound does not account for that.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special, stats

from edge_sdk.model.agreement import Agreement
from edge_sdk.workbench.cascade.curve import Bools, Floats

BANDS = 4
"""Most bands of confidence."""
FEWEST_PLACES = 10
"""Of fewer places nothing is said about how they differ."""
_LEAST, _MOST = 1e-4, 0.9
_SLACK = 0.1
_DAY_S = 86_400


def measure_agreement(
    confidence: Floats,
    exits: Bools,
    *,
    device: NDArray[np.int64],
    big: NDArray[np.int64],
    delta: float,
    places: NDArray[np.str_],
    times: Floats | None = None,
) -> Agreement | None:
    """Agreement of the frames that exit; None where none does.

    Args:
        confidence: `float (N,)` of the little model, calibrated.
        exits: `bool (N,)`.
        device: `int64 (N,)`, the class that the device names.
        big: `int64 (N,)`, the class that the big model names.
        delta: probability with which the upper bound of the mean may fail, and share of places above the bound.
        places: `str (N,)`.
        times: `float64 (N,)`, seconds since 1970; NaN, None: unknown, and each difference is a cause by itself.
    """
    differ = device != big
    count = int(exits.sum())
    if not count:
        return None
    values = np.asarray(confidence, np.float64)[exits]
    quantiles = np.quantile(values, np.linspace(0, 1, BANDS + 1)[1:-1]).round(6)
    edges = np.unique(quantiles[(quantiles > values.min()) & (quantiles <= values.max())])
    band: NDArray[np.intp] = np.searchsorted(edges, values, side="right")
    _, place = np.unique(places[exits], return_inverse=True)
    counted = differ[exits] & _first_of_cause(place, device[exits], big[exits], None if times is None else times[exits])
    units, ones = np.bincount(place), np.bincount(place, weights=counted).astype(np.float64)
    alike = likeness(units, ones)
    return Agreement(
        edges=tuple(edges.tolist()),
        exits=tuple(np.bincount(band, minlength=len(edges) + 1).tolist()),
        differ=tuple(np.bincount(band[differ[exits]], minlength=len(edges) + 1).tolist()),
        at_most=round(place_bound(units, float(ones.sum()), alike, delta), 6),
        delta=delta,
        places=len(units),
        alike=round(alike, 6),
    )


def _first_of_cause(
    place: NDArray[np.intp], device: NDArray[np.int64], big: NDArray[np.int64], times: Floats | None
) -> Bools:
    """`bool (N,)`: the first of each place, day (UTC) and pair of classes, and all of unknown time."""
    result = np.ones(len(place), np.bool_)
    if times is not None:
        known = np.flatnonzero(np.isfinite(times))
        days = np.floor(times[known] / _DAY_S).astype(np.int64)
        keys = np.stack([place[known], days, device[known], big[known]], axis=1)
        differ = device[known] != big[known]
        _, first = np.unique(keys[differ], axis=0, return_index=True)
        result[known[differ]] = False
        result[known[differ][first]] = True
    return result


def likeness(units: NDArray[np.int64], ones: Floats) -> float:
    """Correlation of two exits of one place, by the likelihood of the beta-binomial; 0: they are not alike.

    It is the largest whose likelihood, with the mean that fits it best, is within `_SLACK` of the best one's (in
    logarithms). The best one itself is too small in every second calibration, and the bound that follows from it left
    out 6 to 15% of the places on average over simulated calibrations, where 5% were meant; with the slack 2 to 5%.

    Args:
        units: `int64 (P,)`, exits of each place.
        ones: `float64 (P,)`, of these the ones that differ.
    """
    mean = float(ones.sum() / units.sum())
    if len(units) < FEWEST_PLACES or not 0 < mean < 1 or units.max() < 2:
        return 0.0
    reach = (float(special.logit(mean)) - 3, float(special.logit(mean)) + 3)

    def surprise(alike: float) -> float:
        total = (1 - alike) / alike

        def at(share: float) -> float:
            a, b = special.expit(share) * total, special.expit(-share) * total
            return -float((special.betaln(ones + a, units - ones + b) - special.betaln(a, b)).sum())

        return float(optimize.minimize_scalar(at, bounds=reach, method="bounded").fun)

    values = np.geomspace(_LEAST, _MOST, 40)
    surprises = np.array([surprise(one) for one in values])
    limit = float(surprises.min()) + _SLACK
    inside = int(np.flatnonzero(surprises <= limit)[-1])
    if inside in (0, len(values) - 1):
        return 0.0 if inside == 0 else _MOST
    return float(optimize.brentq(lambda one: surprise(one) - limit, values[inside], values[inside + 1], xtol=1e-5))


def place_bound(units: NDArray[np.int64], differing: float, alike: float, delta: float) -> float:
    """Upper bound of the share at a place: all but `delta` of the places lie below it.

    Args:
        units: `int64 (P,)`, exits of each place.
        differing: how many of all differ, one for each cause.
        alike: correlation of two exits of one place, in [0, 1).
        delta: in (0, 1); the bound of the mean that it stands on fails with this probability.
    """
    count = float(units.sum())
    if differing >= count:
        return 1.0
    worth = 1 + (float((units.astype(np.float64) ** 2).sum()) / count - 1) * alike
    ones, count = differing / worth, count / worth
    mean = float(stats.beta.ppf(1 - delta, ones + 1, count - ones))
    if not alike:
        return mean
    total = (1 - alike) / alike
    return max(mean, float(stats.beta.ppf(1 - delta, mean * total, (1 - mean) * total)))
