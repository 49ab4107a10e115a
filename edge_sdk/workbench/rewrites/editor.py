"""Editing a captured network's graph: new operators with their shapes, new constants, and what stays in float32."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.fx import GraphModule, Node
from torch.fx.node import map_arg

KEEPS_FLOAT = "edge_sdk_keeps_float"
"""Key in a node's `meta`: the quantiser leaves this operator in float32."""
_INHERITED = ("nn_module_stack", "stack_trace")

Operator = Any
"""A `torch.fx.Node`, typed loosely: torch types each of its arguments as a union of twenty."""

Rule = Callable[["Editor", Operator], Operator]
"""Given an operator, emits the ones that replace it and returns the last; None leaves it as it is."""


class Editor:
    """Emits operators into a graph, at the place of the one that they replace."""

    def __init__(self, module: GraphModule) -> None:
        self.module, self.graph = module, module.graph
        tensors = (node.meta.get("val") for node in self.graph.nodes)
        self._mode = next(value.fake_mode for value in tensors if hasattr(value, "fake_mode"))
        self._like: Node | None = None
        self._floats = False

    @contextmanager
    def at(self, node: Node) -> Iterator[None]:
        """New operators stand before `node` and belong to its module."""
        self._like = node
        with self.graph.inserting_before(node):
            yield

    @contextmanager
    def in_float(self) -> Iterator[None]:
        """New operators stay in float32 when the network is quantised."""
        before, self._floats = self._floats, True
        try:
            yield
        finally:
            self._floats = before

    def call(self, target: Any, *args: Any, **kwargs: Any) -> Operator:
        """Emit one operator."""
        node = self.graph.call_function(target, args, kwargs)
        if self._like is not None:
            node.meta = {key: self._like.meta[key] for key in _INHERITED if key in self._like.meta}
        if self._floats or (self._like is not None and KEEPS_FLOAT in self._like.meta):
            node.meta[KEEPS_FLOAT] = True
        with self._mode:
            node.meta["val"] = target(*map_arg(args, _value_of), **map_arg(kwargs, _value_of))
        return node

    def constant(self, tensor: torch.Tensor) -> Operator:
        """A new constant of the network."""
        tensor = tensor.detach().contiguous()
        name = f"_rewritten_{sum(1 for _ in self.module.named_buffers(recurse=False))}"
        self.module.register_buffer(name, tensor)
        node = self.graph.get_attr(name)
        node.meta["val"] = self._mode.from_tensor(tensor, static_shapes=True)
        return node

    def tensor(self, node: Operator) -> torch.Tensor | None:
        """The value of a constant; None for anything else."""
        if not isinstance(node, Node) or node.op != "get_attr":
            return None
        value = operator.attrgetter(str(node.target))(self.module)
        return value.detach() if isinstance(value, torch.Tensor) else None


def shape(node: Operator) -> list[int]:
    """The sizes of an operator's output."""
    return [int(size) for size in node.meta["val"].shape]


def argument(node: Operator, index: int, name: str, default: Any = None) -> Any:
    """An argument given by place or by name."""
    return node.args[index] if len(node.args) > index else node.kwargs.get(name, default)


def pair(value: Any) -> list[int]:
    """A setting of height and width, that is given as one number for both, alone or in a list, or as two."""
    values = list(value) if isinstance(value, list | tuple) else [value]
    return [int(one) for one in (values * 2 if len(values) == 1 else values)]


def only_user(node: Operator) -> Operator:
    """The one operator that reads `node`; None where several do."""
    return next(iter(node.users)) if len(node.users) == 1 else None


def is_call(node: Operator, *targets: Any) -> bool:
    """Whether `node` is one of these operators."""
    return isinstance(node, Node) and node.op == "call_function" and node.target in targets


def _value_of(node: Node) -> Any:
    return node.meta["val"]
