"""How often the frames, or events, that exit are answered otherwise than by the big model, for the policy.

It needs no labels. In service the same share is measured by audits (`edge_sdk.model.evidence`), which raise an alarm
where it is above what calibration found possible: the upper end of the interval of Clopper & Pearson (Biometrika 26,
1934) on the evaluation part. The threshold was chosen on the same frames, by labels and not by this share; the bound
does not account for that, nor for places: events of one place may be alike.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from edge_sdk.model.agreement import Agreement
from edge_sdk.workbench.cascade.curve import Bools, Floats

BANDS = 4
"""Most bands of confidence."""


def measure_agreement(confidence: Floats, exits: Bools, differ: Bools, *, delta: float) -> Agreement | None:
    """Agreement of the frames that exit; None where none does.

    Args:
        confidence: `float (N,)` of the little model, calibrated.
        exits: `bool (N,)`.
        differ: `bool (N,)`, the two models name different classes.
        delta: probability with which the upper bound may fail.
    """
    count, differing = int(exits.sum()), int((exits & differ).sum())
    if not count:
        return None
    values = np.asarray(confidence, np.float64)[exits]
    quantiles = np.quantile(values, np.linspace(0, 1, BANDS + 1)[1:-1]).round(6)
    edges = np.unique(quantiles[(quantiles > values.min()) & (quantiles <= values.max())])
    band: NDArray[np.intp] = np.searchsorted(edges, values, side="right")
    at_most = float(stats.beta.ppf(1 - delta, differing + 1, count - differing)) if differing < count else 1.0
    return Agreement(
        edges=tuple(edges.tolist()),
        exits=tuple(np.bincount(band, minlength=len(edges) + 1).tolist()),
        differ=tuple(np.bincount(band[differ[exits]], minlength=len(edges) + 1).tolist()),
        at_most=round(at_most, 6),
        delta=delta,
    )
