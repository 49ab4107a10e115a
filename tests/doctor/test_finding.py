"""Findings put together."""

from __future__ import annotations

from edge_sdk.doctor.finding import Level, fault, note, ok, together, warning


def test_the_gravest_comes_first_and_values_are_kept() -> None:
    merged = together("base", note("n", "do n", a=1), fault("f", "do f"), warning("w", "do w", b=2), c=3)
    assert merged.level is Level.FAULT and merged.found == "base; f; w; n" and merged.do == "do f; do w; do n"
    assert merged.values == {"c": 3, "a": 1, "b": 2}
    assert together("base") == ok("base")
    assert [level.rank for level in Level] == [0, 1, 2, 3]
