"""Attention heads as a group of their own; the tracing treats an attention as one layer."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn

from edge_sdk.networks.pruning.groups import Group, Member
from edge_sdk.networks.timm_library import import_timm


def attention_type() -> Any:
    """Timm's plain multi-head attention."""
    import_timm()
    return import_module("timm.layers").Attention


def attention_pruner(library: Any) -> Any:
    """A pruner for torch-pruning that narrows a whole attention: the inputs of `qkv`, the outputs of `proj`."""

    class AttentionPruner(library.BasePruningFunc):  # type: ignore[misc]
        """Inputs and outputs are the stream's channels."""

        def prune_out_channels(self, layer: Any, idxs: list[int]) -> Any:
            library.prune_linear_out_channels(layer.proj, idxs)
            return layer

        def prune_in_channels(self, layer: Any, idxs: list[int]) -> Any:
            library.prune_linear_in_channels(layer.qkv, idxs)
            return layer

        def get_out_channels(self, layer: Any) -> int:
            return int(layer.proj.out_features)

        def get_in_channels(self, layer: Any) -> int:
            return int(layer.qkv.in_features)

    return AttentionPruner()


def find_heads(name: str, attention: Any) -> Group | str:
    """The heads of an attention as a group, or the reason why they cannot be removed."""
    if not isinstance(attention.norm, nn.Identity) or getattr(attention, "gate", None) is not None:
        return "its attention is scaled or gated across heads"
    heads, size = int(attention.num_heads), int(attention.head_dim)
    if heads < 2:
        return "its attention has one head"
    inner = torch.arange(heads * size).view(heads, size)
    rows = torch.cat([inner + part * heads * size for part in range(3)], 1)
    consumers = (Member(f"{name}.proj", inner),)
    return Group(name, "heads", heads, consumers, (Member(f"{name}.qkv", rows),), ())


def prune_heads(attention: Any, remaining: Tensor) -> None:
    """Remove all heads of an attention but the remaining ones, in place; `remaining` is `int64 (n,)`."""
    heads, size = int(attention.num_heads), int(attention.head_dim)
    inner = torch.arange(heads * size).view(heads, size)[remaining].flatten()
    rows = torch.cat([inner + part * heads * size for part in range(3)])
    _take(attention.qkv, rows=rows)
    _take(attention.proj, columns=inner)
    attention.num_heads = len(remaining)
    attention.attn_dim = len(remaining) * size


def _take(layer: nn.Linear, *, rows: Tensor | None = None, columns: Tensor | None = None) -> None:
    """Keep these outputs or inputs of a linear layer."""
    with torch.no_grad():
        if rows is not None:
            layer.weight = nn.Parameter(layer.weight[rows].clone())
            if layer.bias is not None:
                layer.bias = nn.Parameter(layer.bias[rows].clone())
        if columns is not None:
            layer.weight = nn.Parameter(layer.weight[:, columns].clone())
    layer.out_features, layer.in_features = layer.weight.shape
