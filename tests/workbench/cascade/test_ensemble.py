"""The mean of both models on offloaded frames."""

from __future__ import annotations

import numpy as np
import pytest

from edge_sdk.errors import WorkbenchError
from edge_sdk.workbench.cascade.ensemble import ensemble, fit_ensemble


def test_an_ensemble_is_the_weighted_mean() -> None:
    little, big = np.array([[0.9, 0.1], [0.2, 0.8]]), np.array([[0.4, 0.6], [0.4, 0.6]])
    assert ensemble(little, big, 0.0).tolist() == [1, 1]
    assert ensemble(little, big, 0.5).tolist() == [0, 1]
    weight, gained = fit_ensemble(little, big, np.array([0, 1]))
    assert 0 < weight <= 0.5 and gained == 0.5
    with pytest.raises(WorkbenchError, match="expected probabilities of one shape"):
        ensemble(little, big[:, :1], 0.5)
