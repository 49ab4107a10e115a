"""Finding and removing groups of channels, hidden units and attention heads.

A channel that a residual connection carries is produced and read by several layers, so it is removed from all of them
or from none. Which layers belong together is found by tracing the network (DepGraph: Fang et al., "Towards Any
Structural Pruning", arXiv 2301.12900, in the library torch-pruning). The tracing treats an attention as one layer; its
heads are groups of their own. The result is a smaller dense network.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from edge_sdk.errors import WorkbenchError
from edge_sdk.networks.pruning.attention_heads import find_heads, prune_heads
from edge_sdk.networks.pruning.graph import Graph
from edge_sdk.networks.pruning.groups import Group, RemainingChannels, Structure


def find_structure(module: nn.Module, width: int, height: int) -> Structure:
    """Trace a network and find its groups.

    Args:
        module: takes `float32 (1, 3, height, width)`; it is not changed.
        width: of the input, pixels.
        height: of the input, pixels.

    Raises:
        WorkbenchError: the network cannot be traced.
    """
    groups: list[Group] = []
    dense: dict[str, str] = {}
    try:
        graph = Graph(module, width, height)
        for name, traced in graph.groups():
            reason = graph.obstacle(traced)
            if reason:
                dense[name] = reason
                continue
            groups.append(graph.describe(name, traced))
    except Exception as error:  # tracing runs foreign code, which may raise anything
        raise WorkbenchError(
            f"expected a network whose layers can be traced; {type(module).__name__} cannot: {error}"
        ) from error
    for name, attention in graph.attentions.items():
        heads = find_heads(name, attention)
        if isinstance(heads, str):
            dense[f"{name}.qkv"] = heads
        else:
            groups.append(heads)
    return Structure(tuple(groups), dense)


def prune(module: nn.Module, width: int, height: int, remaining: RemainingChannels) -> None:
    """Remove all channels but the remaining ones, in place; the remaining weights do not change.

    Args:
        module: as for `find_structure`.
        width: of the input, pixels.
        height: of the input, pixels.
        remaining: the channels that stay, by the group's name.
    """
    graph = Graph(module, width, height)
    for name, attention in graph.attentions.items():
        if name in remaining:
            prune_heads(attention, remaining[name])
    for name in remaining:
        if name not in graph.attentions:
            graph.prune(name, remaining[name])


def widths(remaining: RemainingChannels) -> dict[str, int]:
    """How many channels of each group stay."""
    return {name: len(indices) for name, indices in remaining.items()}


def shrink(module: nn.Module, width: int, height: int, numbers: Mapping[str, int]) -> None:
    """Give a network the shape of a pruned one, in place; the first channels of each group stay.

    Use it where weights are loaded afterwards, or do not matter.

    Args:
        module: as for `find_structure`.
        width: of the input, pixels.
        height: of the input, pixels.
        numbers: channels that stay, by the group's name.

    Raises:
        WorkbenchError: a name or a number that does not fit this network.
    """
    layers: dict[str, Any] = dict(module.named_modules())
    for name, number in numbers.items():
        layer = layers.get(name)
        most = next(
            (getattr(layer, of) for of in ("num_heads", "out_channels", "out_features") if hasattr(layer, of)), 0
        )
        if not 1 <= number <= most:
            raise WorkbenchError(f"expected widths of 1 to {most} for {name!r}; got {number}")
    prune(module, width, height, {name: torch.arange(number) for name, number in numbers.items()})
