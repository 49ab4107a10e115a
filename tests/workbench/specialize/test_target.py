"""Targets as a person writes them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.errors import WorkbenchError
from edge_sdk.workbench.specialize.target import Target, parse_targets


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("params=10x", Target("params", 10, True)),
        ("params=1.2M", Target("params", 1.2e6, False)),
        ("params=350k", Target("params", 350e3, False)),
        ("params=99", Target("params", 99, False)),
        (" macs = 4x ", Target("macs", 4, True)),
        ("macs=50M", Target("macs", 50e6, False)),
        ("macs=1.5G", Target("macs", 1.5e9, False)),
        ("latency=2.5x", Target("latency", 2.5, True)),
        ("latency_ms=2.5", Target("latency_ms", 2.5, False)),
        ("latency_ms=0.5", Target("latency_ms", 0.5, False)),
        ("size=8x", Target("size", 8, True)),
        ("size=500kB", Target("size", 500e3, False)),
        ("size=1.5MB", Target("size", 1.5e6, False)),
        ("size=4096B", Target("size", 4096, False)),
    ],
)
def test_each_form(text: str, target: Target) -> None:
    assert parse_targets([text]) == (target,)
    assert parse_targets([str(target)]) == (target,)


def test_several_at_once() -> None:
    found = parse_targets(["params=10x,macs=4x", "size=1MB"])
    assert [(one.measure, one.value, one.relative) for one in found] == [
        ("params", 10.0, True),
        ("macs", 4.0, True),
        ("size", 1e6, False),
    ]


def test_no_texts_are_no_targets() -> None:
    assert parse_targets([]) == ()


def test_a_limit_is_a_share_or_the_number_itself() -> None:
    relative, absolute = parse_targets(["params=8x", "macs=50M"])
    assert (relative.limit(1000), absolute.limit(1000)) == (125, 50e6)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "params",
        "params=",
        "params=x",
        "params=10X",
        "params=-3x",
        "params=1e6",
        "params=10%",
        "params=ten",
        "params=٣x",
        "weights=10x",
        "params=10kB",
        "macs=1MB",
        "size=500k",
        "size=500",
        "latency=3",
        "latency=3k",
        "latency_ms=2x",
        "latency_ms=2k",
        "latency_ms=2B",
        "params=10x;macs=2x",
        "params=10x,",
    ],
)
def test_what_is_no_target(text: str) -> None:
    with pytest.raises(WorkbenchError, match=r"expected a target such as params=10x.*size=500kB; got '"):
        parse_targets([text])


@pytest.mark.parametrize("text", ["params=1x", "macs=0.5x", "params=0", "size=0B", "latency_ms=0", "latency=1.0x"])
def test_what_would_not_make_it_smaller(text: str) -> None:
    with pytest.raises(WorkbenchError, match=f"expected a target that makes the model smaller; got '{text}'"):
        parse_targets([text])


@pytest.mark.parametrize(
    ("texts", "kind"),
    [
        (["params=2x", "params=3M"], "params"),
        (["latency=2x,latency_ms=3"], "latency"),
        (["size=2x", "size=2x"], "size"),
    ],
)
def test_one_target_for_each_measure(texts: list[str], kind: str) -> None:
    with pytest.raises(WorkbenchError, match=f"expected one target for {kind}; got {kind}"):
        parse_targets(texts)


@given(
    st.sampled_from(["params", "macs", "size", "latency_ms"]), st.integers(1, 10**8), st.sampled_from(["", "k", "M"])
)
def test_what_is_written_is_read_back(measure: str, number: int, unit: str) -> None:
    text = f"{measure}={number}{'' if measure == 'latency_ms' else unit}{'B' * (measure == 'size')}"
    (target,) = parse_targets([text])
    assert parse_targets([str(target)]) == (target,)
