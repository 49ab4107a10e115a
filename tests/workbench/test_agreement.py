"""How often exits are answered as by the big model."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from edge_sdk.workbench.agreement import measure_agreement


def test_bands_hold_all_exits_and_the_bound_is_the_exact_one() -> None:
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.3, 1.0, 2000)
    exits, differ = confidence >= 0.6, rng.uniform(0, 1, 2000) > confidence
    found = measure_agreement(confidence, exits, differ, delta=0.05)
    assert found is not None
    assert sum(found.exits) == exits.sum() and sum(found.differ) == (exits & differ).sum()
    assert len(found.exits) == 4 and max(found.exits) - min(found.exits) <= 2
    assert stats.binom.cdf(sum(found.differ), sum(found.exits), found.at_most) == pytest.approx(0.05, abs=1e-3)
    rates = np.array(found.differ) / np.array(found.exits)
    assert (np.diff(rates) < 0).all()


def test_edge_cases() -> None:
    one = np.ones(5)
    assert measure_agreement(one, one < 0, one > 0, delta=0.05) is None
    found = measure_agreement(one, one > 0, one > 0, delta=0.05)
    assert found is not None and (found.edges, found.exits, found.at_most) == ((), (5,), 1.0)
