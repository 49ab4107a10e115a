"""A network traced by torch-pruning, translated into `Group` and `Member`."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from edge_sdk.networks.pruning.attention_heads import attention_pruner, attention_type
from edge_sdk.networks.pruning.groups import Group, Member, complement


class Graph:
    """torch-pruning's dependency graph of a network."""

    def __init__(self, module: nn.Module, width: int, height: int) -> None:
        import torch_pruning

        attention_class = attention_type()

        self._library: Any = torch_pruning
        self._module = module
        self._names = {id(layer): name for name, layer in module.named_modules()}
        self.attentions: dict[str, Any] = {
            name: layer for name, layer in module.named_modules() if type(layer) is attention_class
        }
        self._attention_names = {id(layer): name for name, layer in self.attentions.items()}
        self._strange = {  # layers inside an unsupported attention, and its name
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
                customized_pruners={attention_class: attention_pruner(torch_pruning)},
                verbose=False,
            )
        for name, parameter in module.named_parameters():
            parameter.requires_grad_(wanted[name])
        module.train(training)

    def groups(self) -> Iterator[tuple[str, Any]]:
        """Name and traced group, with all channels."""
        kinds = [nn.Conv2d, nn.Linear, attention_type()]
        inner = [layer for one in self.attentions.values() for layer in one.modules() if layer is not one]
        ignored = [self._head, *inner]
        for traced in self._graph.get_all_groups(ignored_layers=ignored, root_module_types=kinds):
            yield self._name(traced[0].dep.target.module), traced

    def obstacle(self, traced: Any) -> str:
        """Why a traced group cannot be pruned; "" if it can."""
        outs, ins = self._library.DependencyGraph.is_out_channel_pruning_fn, 0
        for dep, _ in traced:
            layer = dep.target.module
            if isinstance(layer, nn.Conv2d) and layer.groups > 1 and not _is_depthwise(layer):
                return f"{self._name(layer)} is a grouped convolution"
            if id(layer) in self._strange:
                return f"{self._strange[id(layer)]} is an attention of another kind"
            if not outs(self._graph, dep.handler) and _mixes(layer):
                ins += 1
        return "" if ins else "no layer that could compensate for its channels reads them"

    def describe(self, name: str, traced: Any) -> Group:
        """A traced group as a `Group`."""
        channels = len(traced[0].idxs)
        consumers, producers, singles = [], [], []
        for position in range(len(traced)):
            dep, idxs = traced[position]
            layer = dep.target.module
            leaving = self._graph.is_out_channel_pruning_fn(dep.handler)
            if isinstance(layer, nn.Conv2d | nn.Linear) or id(layer) in self._attention_names:
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

    def prune(self, name: str, remaining: Tensor) -> None:
        """Remove all channels of one group but the remaining ones, in place."""
        layer = self._module.get_submodule(name)
        pruner = self._graph.get_pruner_of_module(layer)
        channels = int(pruner.get_out_channels(layer))
        removed = complement(remaining, channels).tolist()
        if removed:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self._graph.get_pruning_group(layer, pruner.prune_out_channels, removed).prune()

    def _name(self, layer: Any) -> str:
        return str(self._names.get(id(layer), ""))

    def _producer(self, layer: Any) -> str:
        attention = self._attention_names.get(id(layer))
        return self._name(layer) if attention is None else f"{attention}.proj"

    def _consumer(self, layer: Any) -> tuple[str, int]:
        attention = self._attention_names.get(id(layer))
        if attention is not None:
            return f"{attention}.qkv", 1
        if isinstance(layer, nn.Conv2d):
            return self._name(layer), layer.kernel_size[0] * layer.kernel_size[1]
        return self._name(layer), 1


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
