from __future__ import annotations

import pytest

from cloud_server.access.rates import RateLimited, RateLimiter
from edge_sdk.errors import ConfigError


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_then_a_steady_rate() -> None:
    clock = Clock()
    rates = RateLimiter(2.0, 3, clock=clock)
    for _ in range(3):
        rates.spend("cam")
    with pytest.raises(RateLimited, match=r"at most 2 frames/s from one device \(3 at once\).* again in 0\.5 s"):
        rates.spend("cam")
    rates.spend("another")
    clock.now = 0.5
    rates.spend("cam")
    with pytest.raises(RateLimited):
        rates.spend("cam")
    clock.now = 100.0
    for _ in range(3):
        rates.spend("cam")
    with pytest.raises(RateLimited):
        rates.spend("cam")


def test_no_limit() -> None:
    rates = RateLimiter(None, 1)
    for _ in range(1000):
        rates.spend("cam")


def test_devices_that_are_remembered_are_bounded() -> None:
    rates = RateLimiter(1.0, 1, max_devices=10, clock=Clock())
    for number in range(100):
        rates.spend(f"cam-{number}")
    assert len(rates._buckets) == 10
    with pytest.raises(RateLimited):
        rates.spend("cam-99")


@pytest.mark.parametrize(("rate", "burst"), [(0.0, 1), (-1.0, 1), (1.0, 0)])
def test_bad_numbers_are_explained(rate: float, burst: int) -> None:
    with pytest.raises(ConfigError, match="a rate above 0 and a burst of at least 1"):
        RateLimiter(rate, burst)
