"""Zeros instead of smaller layers."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from compress_parts import METHOD, big, right, run

from edge_sdk.errors import WorkbenchError
from edge_sdk.networks.macs import count_parameters


@pytest.mark.parametrize(("pattern", "fewer"), [("2:4", None), ("unstructured", 2.0)])
def test_zeros_instead_of_narrower_layers(tmp_path: Path, pattern: str, fewer: float | None) -> None:
    small, stages = run(tmp_path, msgspec.structs.replace(METHOD, pattern=pattern), fewer)
    assert list(stages) == ["zeros", "statistics", "distillation"]
    assert count_parameters(small.module) == count_parameters(big()) and not small.widths
    zeros = sum(int((parameter == 0).sum()) for parameter in small.module.parameters())
    whole = count_parameters(big())
    assert 1.6 < whole / (whole - zeros) < 2.2
    for name, mask in small.masks.items():
        assert not small.module.get_submodule(name).weight.flatten(1)[~mask].any()  # type: ignore[operator]
    assert "the classifier stays dense" in small.dense.values() and right(small.module) > 0.8


def test_gradual_zeros_reach_the_target(tmp_path: Path) -> None:
    method = msgspec.structs.replace(METHOD, schedule="gradual", pattern="unstructured", allocation="even")
    small, stages = run(tmp_path, method, 3)
    counts = [
        sum(int(parameter.count_nonzero()) for parameter in module.parameters())
        for name, module in stages.items()
        if name.startswith("distillation")
    ]
    assert len(counts) >= 2 and sorted(counts, reverse=True) == counts
    assert counts[-1] <= count_parameters(big()) / 3 * 1.01
    assert right(small.module) > 0.7


def test_zeros_have_targets_of_their_own(tmp_path: Path) -> None:
    for pattern, given, message in (
        ("2:4", (2, None), "no target beside an N:M pattern"),
        ("unstructured", (None, None), "params= as the only target"),
        ("unstructured", (None, 2), "params= as the only target of an unstructured pattern"),
        ("unstructured", (400, None), r"nearest possible is [\d,]+ \("),
    ):
        with pytest.raises(WorkbenchError, match=message):
            run(tmp_path, msgspec.structs.replace(METHOD, pattern=pattern), *given)
