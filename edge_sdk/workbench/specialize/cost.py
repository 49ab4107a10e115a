"""The cost of a network as a function of the channels that each group keeps, without pruning it."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from edge_sdk.errors import WorkbenchError
from edge_sdk.networks.macs import count_macs, count_parameters
from edge_sdk.networks.pruning.groups import Structure
from edge_sdk.networks.pruning.structure import shrink

Numbers = Mapping[str, int]
"""Channels that stay, by the group's name; a group that is not named stays whole."""


@dataclass(frozen=True, slots=True)
class _Layer:
    """A mixing layer: shape of its weight, groups of its rows and columns with block sizes, and uses per picture."""

    rows: int
    columns: int
    row_blocks: tuple[tuple[str, int], ...]
    column_blocks: tuple[tuple[str, int], ...]
    bias: bool
    positions: int


class Cost:
    """Parameters and multiply-accumulates as exact functions of the channels that stay.

    Attributes:
        parameters: of the network as it is.
        macs: of the network as it is, per picture.
    """

    def __init__(self, module: nn.Module, structure: Structure, width: int, height: int) -> None:
        self.parameters = count_parameters(module)
        self.macs = count_macs(module, width, height)
        positions, pairs = _positions(module, width, height)
        layers = dict(module.named_modules())
        self._channels = {group.name: group.channels for group in structure.groups}
        rows: dict[str, list[tuple[str, int]]] = {}
        columns: dict[str, list[tuple[str, int]]] = {}
        self._single_parameters: dict[str, int] = {}
        self._single_macs: dict[str, int] = {}
        for group in structure.groups:
            for member in group.producers:
                rows.setdefault(member.layer, []).append((group.name, member.index.shape[1]))
            for member in group.consumers:
                columns.setdefault(member.layer, []).append((group.name, member.index.shape[1]))
            self._single_parameters[group.name] = sum(each for _, each in group.singles)
            self._single_macs[group.name] = sum(
                math.prod(single.kernel_size) * single.out_channels // group.channels * positions[name]
                for name, _ in group.singles
                if isinstance(single := layers.get(name), nn.Conv2d)
            )
            if group.kind == "heads":
                size = int(layers[group.name].head_dim)
                self._single_macs[group.name] = 2 * pairs[group.name] * size
        self._layers = {}
        for name in rows.keys() | columns.keys():
            layer: Any = layers[name]
            weight: Tensor = layer.weight
            self._layers[name] = _Layer(
                rows=weight.shape[0],
                columns=weight[0].numel(),
                row_blocks=tuple(rows.get(name, ())),
                column_blocks=tuple(columns.get(name, ())),
                bias=layer.bias is not None,
                positions=positions[name],
            )
        self._rest_parameters = self._rest_macs = 0
        whole = self.of({})
        self._rest_parameters, self._rest_macs = self.parameters - whole[0], self.macs - whole[1]

    def of(self, numbers: Numbers) -> tuple[int, int]:
        """Parameters and multiply-accumulates per picture if `numbers` channels stay."""
        gone = {name: channels - numbers.get(name, channels) for name, channels in self._channels.items()}
        parameters, macs = self._rest_parameters, self._rest_macs
        for layer in self._layers.values():
            rows = layer.rows - sum(gone[name] * block for name, block in layer.row_blocks)
            columns = layer.columns - sum(gone[name] * block for name, block in layer.column_blocks)
            parameters += rows * columns + rows * layer.bias
            macs += rows * columns * layer.positions
        for name, channels in self._channels.items():
            stay = channels - gone[name]
            parameters += stay * self._single_parameters[name]
            macs += stay * self._single_macs[name]
        return parameters, macs


def check_cut(module: nn.Module, structure: Structure, width: int, height: int) -> None:
    """Check `Cost` on a copy cut to 60% of each group: it must run and cost what is predicted.

    Raises:
        WorkbenchError: the copy does not run, or its cost differs; this kind of network cannot be cut.
    """
    numbers = {group.name: math.ceil(0.6 * group.channels) for group in structure.groups}
    told = Cost(module, structure, width, height).of(numbers)
    small = copy.deepcopy(module)
    try:
        shrink(small, width, height, numbers)
        came = count_parameters(small), count_macs(small, width, height)
    except Exception as error:  # a foreign network may raise anything
        raise WorkbenchError(
            f"expected a network that runs with fewer channels; {type(module).__name__} does not: {error}"
        ) from error
    if came != told:
        raise WorkbenchError(
            f"expected a network whose groups are independent; {type(module).__name__} at 60% of its channels has "
            f"{came[0]:,} parameters and {came[1]:,} MACs instead of {told[0]:,} and {told[1]:,}"
        )


def _positions(module: nn.Module, width: int, height: int) -> tuple[dict[str, int], dict[str, int]]:
    """How often each layer's weight is used on a picture; and the pairs of tokens of each attention."""
    positions: dict[str, int] = {}
    pairs: dict[str, int] = {}
    hooks = []

    def watch(name: str, layer: nn.Module) -> None:
        def note(layer: nn.Module, inputs: tuple[Tensor, ...], output: Any) -> None:
            if isinstance(layer, nn.Conv2d):
                positions[name] = positions.get(name, 0) + output.shape[-2] * output.shape[-1]
            elif isinstance(layer, nn.Linear):
                positions[name] = positions.get(name, 0) + output.numel() // output.shape[-1]
            else:
                batch, tokens = inputs[0].shape[:2]  # the batch counts patches in networks that attend within each
                pairs[name] = pairs.get(name, 0) + batch * tokens**2

        if isinstance(layer, nn.Conv2d | nn.Linear) or hasattr(layer, "qkv"):
            hooks.append(layer.register_forward_hook(note))

    for name, layer in module.named_modules():
        watch(name, layer)
    training = module.training
    try:
        with torch.inference_mode():
            module.eval()(torch.zeros(1, 3, height, width))
    finally:
        module.train(training)
        for hook in hooks:
            hook.remove()
    return positions, pairs
