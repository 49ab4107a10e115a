"""The learning rate over a training."""

import pytest

from edge_sdk.workbench.learning_rate import schedule


def test_the_learning_rate_rises_and_falls() -> None:
    rates = [schedule(step, 100, 0.1) for step in range(100)]
    assert rates[0] == pytest.approx(0.1) and max(rates) == rates[10] == 1
    assert rates[10:] == sorted(rates[10:], reverse=True) and rates[-1] < 0.01
