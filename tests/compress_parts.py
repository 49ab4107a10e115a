"""A trained network and its compression, for the tests of both patterns."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import little_task
from torch import nn

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
