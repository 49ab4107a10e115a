from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cloud_server.fleet.histogram import SIZES, STAGE_S, Histogram


@given(st.lists(st.one_of(st.floats(0, 20), st.sampled_from(STAGE_S))))
def test_each_bucket_has_the_values_up_to_its_bound(values: list[float]) -> None:
    histogram = Histogram(STAGE_S)
    for value in values:
        histogram.count(value)
    buckets, total = histogram.read()
    assert buckets == [(str(bound), sum(value <= bound for value in values)) for bound in STAGE_S] + [
        ("+Inf", len(values))
    ]
    assert abs(total - sum(values)) < 1e-6


def test_bounds_ascend() -> None:
    assert sorted(set(SIZES)) == list(SIZES)
