"""Weights of a captured network, with normalisation folded in, and their way back into the network they came from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

import torch
from torch import nn
from torch.fx import Node

from edge_sdk.workbench.walk import is_layer

_LEAST = 1e-6  # share of the largest factor of a normalisation below which a channel is left as it is
_NORM = "aten.batch_norm"


@dataclass(slots=True)
class Folded:
    """A convolution or linear layer, and the batch normalisation behind it.

    Attributes:
        weight: name of the layer's weight in the network.
        bias: name of the layer's bias; None: it has none.
        norm: names of weight, bias, mean and variance of the normalisation; empty: there is none.
        eps: of the normalisation.
        tensors: the folded weight, and the bias where one can go back, of the prepared network; set by `take`.
    """

    weight: str
    bias: str | None
    norm: tuple[str, ...] = ()
    eps: float = 0.0
    tensors: list[torch.Tensor] = field(default_factory=list)

    def take(self, module: nn.Module, prepared: Any) -> bool:
        """Find the layer in the prepared network by its values; False where it is not there, or not alone."""
        state = module.state_dict()
        weight = state[self.weight]
        folded = weight * _as_rows(self._factor(state), weight) if self.norm else weight
        alike = [node for node in prepared.graph.nodes if is_layer(node) and _same(prepared, node, folded)]
        if len(alike) != 1:
            return False
        self.tensors = [_tensor(prepared, alike[0].args[1])]  # type: ignore[list-item]
        bias = _tensor(prepared, alike[0].args[2] if len(alike[0].args) > 2 else None)
        if bias is not None and (self.norm or self.bias):
            self.tensors.append(bias)
        return True

    def write_back(self, module: nn.Module) -> None:
        """Set the network's weights to what the folded ones have become.

        A normalisation keeps its mean, variance and weight w: with f = w / sqrt(variance + eps), the layer's weight is
        the folded one over f, and the normalisation's bias takes what the folded bias has become.
        """
        state = module.state_dict(keep_vars=True)
        weight = self.tensors[0].detach()
        bias = self.tensors[1].detach() if len(self.tensors) > 1 else None
        with torch.no_grad():
            if not self.norm:
                state[self.weight].copy_(weight.view_as(state[self.weight]))
                if bias is not None and self.bias:
                    state[self.bias].copy_(bias)
                return
            factor, shift, mean = self._factor(state), state[self.norm[1]], state[self.norm[2]]
            live = factor.abs() > _LEAST * factor.abs().max()
            unfolded = weight / _as_rows(torch.where(live, factor, 1), weight)
            state[self.weight][live] = unfolded.view_as(state[self.weight])[live]
            if bias is not None:
                own = state[self.bias] if self.bias else 0.0
                shift[live] = (bias - factor * (own - mean))[live]

    def _factor(self, state: dict[str, Any]) -> torch.Tensor:
        factor: torch.Tensor = state[self.norm[0]] / (state[self.norm[3]] + self.eps).sqrt()
        return factor


def folded_layers(module: nn.Module, inputs: tuple[torch.Tensor]) -> Iterator[Folded]:
    """The layers of a network in evaluation mode, each used once, in the order in which they run.

    Args:
        module: the network.
        inputs: one example input.
    """
    plain: Any = torch.export.export(module, inputs, strict=False).module()
    state = module.state_dict()

    def name(node: Node, place: int) -> str | None:
        value = node.args[place] if len(node.args) > place else None
        return (
            str(value.target) if isinstance(value, Node) and value.op == "get_attr" and value.target in state else None
        )

    for node in plain.graph.nodes:
        if not is_layer(node) or "transpose" in str(node.target):
            continue
        weight, users = name(node, 1), list(node.users)
        if weight is None or len(node.args[1].users) != 1:
            continue
        if len(users) == 1 and str(users[0].target).startswith(_NORM):
            norm = [name(users[0], place) for place in range(1, 5)]
            if None not in norm:
                yield Folded(weight, name(node, 2), tuple(map(str, norm)), float(users[0].args[7]))
        else:
            yield Folded(weight, name(node, 2))


def _as_rows(factor: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return factor.view(-1, *[1] * (weight.dim() - 1))


def _same(prepared: Any, node: Node, folded: torch.Tensor) -> bool:
    there = _tensor(prepared, node.args[1])
    if there is None or there.numel() != folded.numel() or len(there) != len(folded):
        return False
    return torch.allclose(there.flatten(), folded.flatten(), rtol=1e-3, atol=1e-6)


def _tensor(network: Any, value: Any) -> torch.Tensor | None:
    """The weight behind a layer's argument, past its observer."""
    while isinstance(value, Node) and value.op == "call_module":
        value = value.all_input_nodes[0]
    if not isinstance(value, Node) or value.op != "get_attr":
        return None
    tensor: torch.Tensor = attrgetter(str(value.target))(network)
    return tensor
