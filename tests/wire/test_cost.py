"""Estimates of what a frame costs on the wire."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.wire.cost import CONNECTION_BYTES, frame_bytes

SIZES = st.integers(0, 10_000_000)


@given(SIZES, st.integers(1, 100_000))
def test_a_larger_message_never_costs_less(size: int, more: int) -> None:
    assert frame_bytes(size + more) >= frame_bytes(size) + more


@given(SIZES)
def test_framing_is_small_beside_a_large_message(size: int) -> None:
    assert size < frame_bytes(size) <= 1.1 * size + 1000


def test_a_connection_costs_something() -> None:
    assert CONNECTION_BYTES > 0
