"""What a number of channels costs."""

from __future__ import annotations

import functools

import little_task
import torch

from edge_sdk.networks.pruning.groups import Structure
from edge_sdk.networks.pruning.structure import find_structure
from edge_sdk.workbench.specialize.cost import Cost


@functools.cache
def loaded(arch: str) -> tuple[Cost, Structure]:
    module, _ = little_task.network(arch)
    structure = find_structure(module, 32, 32)
    return Cost(module, structure, 32, 32), structure


def test_a_number_of_channels_costs_what_it_costs() -> None:
    """Removing more never costs more."""
    cost, structure = loaded("vit_tiny_patch16_224")
    for group in structure.groups:
        found = torch.tensor([cost.of({group.name: number}) for number in range(1, group.channels + 1)])
        assert bool((found.diff(dim=0) > 0).all())
