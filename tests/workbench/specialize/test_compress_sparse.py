"""Zeros instead of smaller layers."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import little_task
import msgspec
import pytest
from torch import nn

from edge_sdk.errors import WorkbenchError
from edge_sdk.networks.macs import count_macs, count_parameters
from edge_sdk.networks.pruning.structure import find_structure
from edge_sdk.workbench.specialize.allocate import Limits
from edge_sdk.workbench.specialize.compress import compress, find_sensitivities
from edge_sdk.workbench.specialize.method import Compressed, Method
from edge_sdk.workbench.specialize.recipe import Recipe
from edge_sdk.workbench.specialize.restrict_head import restrict

SPEC = little_task.SPEC
FEW = little_task.LABELS[:4]
TEST = little_task.squares(10, FEW, seed=5)
METHOD = Method(pictures=48, recipe=Recipe(steps=20, batch=16, views=48, learning_rate=2e-3, average=0.9, bf16=False))


def big() -> nn.Module:
    return restrict(little_task.trained()[0], [[index] for index in range(4)])


def run(
    folder: Path, method: Method, parameters: float | None = None, macs: float | None = None, **given: Any
) -> tuple[Compressed, dict[str, nn.Module]]:
    """Cut to so many times fewer; the small network and those on the way."""
    whole, samples = big(), little_task.squares(6, FEW, seed=4)
    limits = Limits(
        None if parameters is None else int(count_parameters(whole) / parameters),
        None if macs is None else int(count_macs(whole, 32, 32) / macs),
    )
    sensitivities = {}
    if method.pattern == "structured":
        sensitivities = find_sensitivities(
            whole, find_structure(whole, 32, 32), samples, SPEC, method, folder / "sensitivities"
        )
    stages: dict[str, nn.Module] = {}
    small = compress(
        whole,
        whole,
        samples,
        SPEC,
        limits,
        method,
        sensitivities=sensitivities,
        folder=folder,
        on_stage=lambda name, module: stages.update({name: copy.deepcopy(module)}),
        **given,
    )
    return small, stages


def right(module: nn.Module) -> float:
    return little_task.share_right(module, TEST)


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
