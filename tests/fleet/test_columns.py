from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.fleet.columns import (
    MalformedReport,
    byte_of,
    differences,
    id_parts,
    ids_of,
    packed,
    rows_of,
    share_of,
    sums,
    unpacked,
)

ids = st.integers(0, 2**128 - 1).map(lambda number: f"{number:032x}")


@given(st.lists(st.integers(0, 5), max_size=20))
def test_a_column_comes_back(values: list[int]) -> None:
    column = packed(values)
    assert list(unpacked("x", column, len(values))) == values
    assert len(column) <= len(values)


def test_a_column_of_the_same_values_is_one_and_of_zeros_none() -> None:
    assert packed([7, 7, 7]) == [7]
    assert packed([0, 0, 0]) == ()
    assert packed([]) == ()


@given(st.lists(st.integers(-(10**6), 10**6), max_size=20))
def test_differences_come_back(values: list[int]) -> None:
    assert sums("x", differences(values), len(values), 10**6) == values


@given(st.lists(ids, max_size=20))
def test_ids_come_back(given_ids: list[str]) -> None:
    times, rest = id_parts(given_ids)
    assert ids_of(times, rest) == given_ids


def test_what_is_not_as_the_wire_says_is_told() -> None:
    with pytest.raises(MalformedReport, match="expected 0, 1 or 3 values in label; got 2"):
        unpacked("label", [1, 2], 3)
    with pytest.raises(MalformedReport, match="expected 3 values"):
        sums("x", [1, 2], 3, 10)
    with pytest.raises(MalformedReport, match="at most 10"):
        sums("x", [9, 9], 2, 10)
    with pytest.raises(MalformedReport, match="48 bits"):
        ids_of([1 << 48], bytes(10))
    with pytest.raises(MalformedReport, match="of 10 bytes for each of at most 2 rows; got 30"):
        rows_of("id_rest", bytes(30), 10, 2)
    with pytest.raises(MalformedReport):
        rows_of("id_rest", bytes(31), 10, 200)


@given(st.floats())
def test_a_share_is_a_byte(share: float) -> None:
    back = share_of(byte_of(share))
    if 0 <= share <= 1:
        assert abs(back - share) <= 0.5 / 255 + 1e-9
    else:
        assert back in (0.0, 1.0)
