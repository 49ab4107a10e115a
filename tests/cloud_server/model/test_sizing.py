from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud_server.model.sizing import Expected, Measured, best, expected

SECONDS = st.floats(1e-4, 1)
MEASURED = st.builds(Measured, st.integers(0, 8), st.integers(1, 64), SECONDS)


@given(MEASURED, SECONDS, st.integers(1, 16))
def test_nothing_is_promised_that_cores_model_or_decoders_cannot_do(
    measured: Measured, decode_s: float, cores: int
) -> None:
    found = expected(measured, decode_s, cores)
    rate = found.frames_per_s
    assert rate * measured.run_s / measured.batch <= 1 + 1e-9
    assert rate * (decode_s + measured.threads * measured.run_s / measured.batch) <= cores * (1 + 1e-9)
    assert rate * decode_s <= found.decoders * (1 + 1e-9)
    assert found.latency_s >= measured.run_s + decode_s


@given(st.lists(st.tuples(MEASURED, SECONDS, SECONDS), min_size=1, max_size=12), st.none() | SECONDS)
def test_the_best_is_that_of_trying_all(rows: list[tuple[Measured, float, float]], goal_s: float | None) -> None:
    ways = [Expected(measured, 2, 1 / one_s, latency_s) for measured, one_s, latency_s in rows]
    found = best(ways, goal_s)
    inside = [way for way in ways if goal_s is None or way.latency_s <= goal_s]
    if not inside:
        assert found.latency_s == min(way.latency_s for way in ways)
        return
    assert found in inside
    assert all(
        way.latency_s >= found.latency_s or way.frames_per_s < found.frames_per_s / 0.97 * 1.001 for way in inside
    )
    assert found.frames_per_s >= 0.97 * max(way.frames_per_s for way in inside) * (1 - 1e-9)


def test_two_cores_by_hand() -> None:
    found = expected(Measured(threads=2, batch=8, run_s=0.048), decode_s=0.002, cores=2)
    assert found.frames_per_s == pytest.approx(1 / 0.007)  # 6 ms of both cores and 2 ms of one
    assert found.latency_s == pytest.approx(0.002 + 2 * 0.056)
    assert found.decoders == 2
