"""What of a network can be removed: groups of channels, hidden units and attention heads that go together.

A channel that a residual connection carries is made by several layers and read by several; it goes everywhere or
nowhere. Which layers hang together is found by tracing the network (DepGraph: Fang et al., "Towards Any Structural
Pruning", arXiv 2301.12900, in the library torch-pruning). Attention is a leaf to that tracing; its heads are groups of
their own. What is removed is removed: the result is a smaller dense network.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn

from edge_sdk.errors import WorkbenchError
from edge_sdk.workbench.timm_library import import_timm

Kept = Mapping[str, Tensor]
"""For each group (by name) the channels that stay, `int64 (kept,)`, ascending; a group without a name stays whole."""


@dataclass(frozen=True, slots=True, eq=False)
class Member:
    """A layer that a group's channels enter or leave.

    Attributes:
        layer: name of the module.
        index: `int64 (channels, block)`; row c holds the inputs (or outputs) of the layer that belong to channel c, as
            columns (or rows) of its weight `(outputs, inputs * kernel)`.
    """

    layer: str
    index: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Channels that are removed together.

    Attributes:
        name: of the first layer that makes them.
        kind: "channels" or "heads".
        channels: how many there are.
        consumers: layers that mix these channels into others: their inputs go, the rest of their weights can make up
            for it.
        producers: layers whose outputs go.
        singles: layers that treat each channel alone (normalisation, depthwise convolution) and their parameters per
            channel; a bare parameter of the network has an empty name.
    """

    name: str
    kind: str
    channels: int
    consumers: tuple[Member, ...]
    producers: tuple[Member, ...]
    singles: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Structure:
    """The groups of one network.

    Attributes:
        groups: those that can be pruned, in the order of tracing.
        dense: why a layer's outputs must stay, by its name.
    """

    groups: tuple[Group, ...]
    dense: dict[str, str]

    def rows(self, layer: str, outputs: int, kept: Kept) -> Tensor:
        """Rows of a layer's weight that stay: `int64`, ascending."""
        return self._stay(layer, outputs, kept, of_producers=True)

    def columns(self, layer: str, inputs: int, kept: Kept) -> Tensor:
        """Columns of a layer's weight `(outputs, inputs * kernel)` that stay: `int64`, ascending."""
        return self._stay(layer, inputs, kept, of_producers=False)

    def _stay(self, layer: str, size: int, kept: Kept, *, of_producers: bool) -> Tensor:
        stays = torch.ones(size, dtype=torch.bool)
        for group in self.groups:
            if group.name not in kept:
                continue
            removed = complement(kept[group.name], group.channels)
            for member in group.producers if of_producers else group.consumers:
                if member.layer == layer:
                    stays[member.index[removed].flatten()] = False
        return stays.nonzero().flatten()


def complement(kept: Tensor, size: int) -> Tensor:
    """The indices below `size` that are not in `kept`."""
    gone = torch.ones(size, dtype=torch.bool)
    gone[kept] = False
    return gone.nonzero().flatten()


def find_structure(module: nn.Module, width: int, height: int) -> Structure:
    """Trace a network and find its groups.

    Args:
        module: takes `float32 (1, 3, height, width)`; it is not changed.
        width: of the input, pixels.
        height: of the input, pixels.

    Raises:
        WorkbenchError: a network that cannot be traced.
    """
    groups: list[Group] = []
    dense: dict[str, str] = {}
    try:
        graph = _Graph(module, width, height)
        for name, traced in graph.groups():
            reason = graph.obstacle(traced)
            if reason:
                dense[name] = reason
                continue
            groups.append(graph.describe(name, traced))
    except Exception as error:  # whatever a foreign network meets within the tracing
        raise WorkbenchError(
            f"expected a network whose layers can be traced; {type(module).__name__} cannot: {error}"
        ) from error
    for name, attention in graph.attentions.items():
        heads = _heads(name, attention)
        if isinstance(heads, str):
            dense[f"{name}.qkv"] = heads
        else:
            groups.append(heads)
    return Structure(tuple(groups), dense)


def prune(module: nn.Module, width: int, height: int, kept: Kept) -> None:
    """Remove all other channels, in place; what remains keeps its weights.

    Args:
        module: as for `find_structure`.
        width: of the input, pixels.
        height: of the input, pixels.
        kept: what stays, by the group's name.
    """
    graph = _Graph(module, width, height)
    for name, attention in graph.attentions.items():
        if name in kept:
            _prune_heads(attention, kept[name])
    for name in kept:
        if name not in graph.attentions:
            graph.prune(name, kept[name])


def widths(kept: Kept) -> dict[str, int]:
    """How many channels of each group stay."""
    return {name: len(indices) for name, indices in kept.items()}


def shrink(module: nn.Module, width: int, height: int, numbers: Mapping[str, int]) -> None:
    """Give a network the shape of a pruned one, in place; which channels stay does not matter: weights follow.

    Raises:
        WorkbenchError: numbers that are not of this network.
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


class _Graph:
    """torch-pruning's dependency graph of a network."""

    def __init__(self, module: nn.Module, width: int, height: int) -> None:
        import torch_pruning

        attention_class = _attention_class()

        self._library: Any = torch_pruning
        self._module = module
        self._names = {id(layer): name for name, layer in module.named_modules()}
        self.attentions: dict[str, Any] = {
            name: layer for name, layer in module.named_modules() if type(layer) is attention_class
        }
        self._strange = {  # layers within an attention of another kind, and its name
            id(inner): name
            for name, layer in module.named_modules()
            if hasattr(layer, "qkv") and name not in self.attentions
            for inner in layer.modules()
        }
        head: Any = module.get_classifier()  # type: ignore[operator]
        self._head = head
        training = module.training
        wanted = {name: parameter.requires_grad for name, parameter in module.named_parameters()}
        for parameter in module.parameters():
            parameter.requires_grad_(True)  # the tracing follows gradients
        with warnings.catch_warnings(), torch.inference_mode(False), torch.enable_grad():
            warnings.simplefilter("ignore")
            self._graph = torch_pruning.DependencyGraph().build_dependency(
                module.eval(),
                torch.zeros(1, 3, height, width),
                customized_pruners={attention_class: _attention_pruner(torch_pruning)},
                verbose=False,
            )
        for name, parameter in module.named_parameters():
            parameter.requires_grad_(wanted[name])
        module.train(training)

    def groups(self) -> Iterator[tuple[str, Any]]:
        """Name and traced group, with all channels."""
        kinds = [nn.Conv2d, nn.Linear, _attention_class()]
        inner = [layer for one in self.attentions.values() for layer in one.modules() if layer is not one]
        ignored = [self._head, *inner]
        for traced in self._graph.get_all_groups(ignored_layers=ignored, root_module_types=kinds):
            yield self._name(traced[0].dep.target.module), traced

    def obstacle(self, traced: Any) -> str:
        """Why a traced group cannot be pruned; empty where it can."""
        outs, ins = self._library.DependencyGraph.is_out_channel_pruning_fn, 0
        for dep, _ in traced:
            layer = dep.target.module
            if isinstance(layer, nn.Conv2d) and layer.groups > 1 and not _is_depthwise(layer):
                return f"{self._name(layer)} is a grouped convolution"
            if id(layer) in self._strange:
                return f"{self._strange[id(layer)]} is an attention of another kind"
            if not outs(self._graph, dep.handler) and _mixes(layer):
                ins += 1
        return "" if ins else "nothing that could make up for its channels reads them"

    def describe(self, name: str, traced: Any) -> Group:
        """The group in our terms."""
        channels = len(traced[0].idxs)
        consumers, producers, singles = [], [], []
        for position in range(len(traced)):
            dep, idxs = traced[position]
            layer = dep.target.module
            leaving = self._graph.is_out_channel_pruning_fn(dep.handler)
            if isinstance(layer, nn.Conv2d | nn.Linear) or id(layer) in self._attention_names():
                roots = torch.tensor(traced[position].root_idxs)
                index = _blocks(torch.tensor(idxs), roots, channels)
                if leaving and not (isinstance(layer, nn.Conv2d) and _is_depthwise(layer)):
                    producers.append(Member(self._producer(layer), index))
                elif not leaving and _mixes(layer):
                    consumer, kernel = self._consumer(layer)
                    spread = index[:, :, None] * kernel + torch.arange(kernel)
                    consumers.append(Member(consumer, spread.flatten(1)))
            if leaving and not _mixes(layer):
                each = _parameters(layer) // _width(layer, channels) * (len(idxs) // channels)
                if each:
                    singles.append((self._name(layer), each))
        return Group(name, "channels", channels, tuple(consumers), tuple(producers), tuple(singles))

    def prune(self, name: str, kept: Tensor) -> None:
        """Remove the other channels of one group."""
        layer = self._module.get_submodule(name)
        pruner = self._graph.get_pruner_of_module(layer)
        channels = int(pruner.get_out_channels(layer))
        removed = complement(kept, channels).tolist()
        if removed:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self._graph.get_pruning_group(layer, pruner.prune_out_channels, removed).prune()

    def _attention_names(self) -> dict[int, str]:
        return {id(layer): name for name, layer in self.attentions.items()}

    def _name(self, layer: Any) -> str:
        return str(self._names.get(id(layer), ""))

    def _producer(self, layer: Any) -> str:
        attention = self._attention_names().get(id(layer))
        return self._name(layer) if attention is None else f"{attention}.proj"

    def _consumer(self, layer: Any) -> tuple[str, int]:
        attention = self._attention_names().get(id(layer))
        if attention is not None:
            return f"{attention}.qkv", 1
        if isinstance(layer, nn.Conv2d):
            return self._name(layer), layer.kernel_size[0] * layer.kernel_size[1]
        return self._name(layer), 1


def _attention_class() -> Any:
    """Timm's plain multi-head attention."""
    import_timm()
    return import_module("timm.layers").Attention


def _attention_pruner(library: Any) -> Any:
    """How torch-pruning narrows a whole attention: the inputs of `qkv`, the outputs of `proj`."""

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


def _heads(name: str, attention: Any) -> Group | str:
    """The heads of an attention as a group, or why it has none to give."""
    if not isinstance(attention.norm, nn.Identity) or getattr(attention, "gate", None) is not None:
        return "its attention is scaled or gated across heads"
    heads, size = int(attention.num_heads), int(attention.head_dim)
    if heads < 2:
        return "its attention has one head"
    inner = torch.arange(heads * size).view(heads, size)
    rows = torch.cat([inner + part * heads * size for part in range(3)], 1)
    consumers = (Member(f"{name}.proj", inner),)
    return Group(name, "heads", heads, consumers, (Member(f"{name}.qkv", rows),), ())


def _prune_heads(attention: Any, kept: Tensor) -> None:
    heads, size = int(attention.num_heads), int(attention.head_dim)
    inner = torch.arange(heads * size).view(heads, size)[kept].flatten()
    rows = torch.cat([inner + part * heads * size for part in range(3)])
    _take(attention.qkv, rows=rows)
    _take(attention.proj, columns=inner)
    attention.num_heads = len(kept)
    attention.attn_dim = len(kept) * size


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


def _blocks(idxs: Tensor, roots: Tensor, channels: int) -> Tensor:
    """`(channels, block)`: which of a layer's own indices belong to each channel of the group."""
    order = torch.argsort(roots, stable=True)
    return idxs[order].view(channels, -1)


def _is_depthwise(layer: nn.Conv2d) -> bool:
    return layer.groups > 1 and layer.groups == layer.in_channels


def _mixes(layer: Any) -> bool:
    """Whether each output depends on all inputs."""
    if isinstance(layer, nn.Conv2d):
        return layer.groups == 1
    return isinstance(layer, nn.Linear) or hasattr(layer, "qkv")


def _parameters(layer: Any) -> int:
    """Weights of a layer that treats each channel alone."""
    if isinstance(layer, nn.Parameter):
        return layer.numel()
    if isinstance(layer, nn.Module):
        return sum(parameter.numel() for parameter in layer.parameters(recurse=False))
    return 0


def _width(layer: Any, channels: int) -> int:
    if isinstance(layer, nn.Conv2d):
        return layer.out_channels
    if isinstance(layer, nn.Parameter):
        return int(layer.shape[-1])
    return int(getattr(layer, "num_features", 0) or (getattr(layer, "normalized_shape", None) or [channels])[-1])
