"""Means of int8 layers are brought back to the float network's."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from int8_pair import pair

from edge_sdk.workbench.bias_correction import correct_biases
from edge_sdk.workbench.lowering import quiet
from edge_sdk.workbench.walk import is_layer, walk

pytestmark = pytest.mark.filterwarnings("ignore")  # of the exporter's own code


def means(network: Any, pictures: list[torch.Tensor]) -> dict[str, torch.Tensor]:
    """Each layer's mean output, a channel at a time."""
    found: dict[str, torch.Tensor] = {}

    def see(node: torch.fx.Node, values: list[torch.Tensor], _: Any) -> None:
        if is_layer(node):
            whole = torch.cat(values)
            found[node.name] = (
                whole.mean((0, 1))
                if "linear" in node.name and whole.dim() == 3
                else (whole.mean(0) if whole.dim() == 2 else whole.mean((0, 2, 3)))
            )

    walk(network, pictures, see)
    return found


def test_every_layers_mean_is_the_float_networks() -> None:
    quantised, reference, pictures = pair()
    wanted, before = means(reference, pictures), means(quantised, pictures)
    told: list[tuple[int, int]] = []
    correct_biases(quantised, reference, pictures, lambda done, of: told.append((done, of)))
    after = means(quantised, pictures)
    assert len(wanted) == 5
    for name, mean in wanted.items():
        assert (before[name] - mean).abs().max() > 1e-4
        off = (after[name] - mean).abs().max()  # a bias is a whole number of the accumulator's steps
        assert off < 1e-3 and off < 0.2 * (before[name] - mean).abs().max()
    assert told[-1][0] == told[-1][1] and told == sorted(told)


def test_the_corrected_network_is_lowered_and_only_biases_change() -> None:
    from edge_sdk.workbench.lowering import lower

    quantised, reference, pictures = pair()
    weights = {name: value.clone() for name, value in quantised.state_dict().items() if value.dtype == torch.int8}
    correct_biases(quantised, reference, pictures)
    for name, value in weights.items():
        assert torch.equal(quantised.state_dict()[name], value)
    with quiet():
        assert lower(quantised, (pictures[0],), ["hardswish", "transpose"]).program
