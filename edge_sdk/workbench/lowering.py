"""Lowering a captured network to XNNPACK and ExecuTorch, and the check that nothing heavy stays outside XNNPACK.

Operators outside the delegate run in portable kernels, tens of times slower.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from edge_sdk.errors import WorkbenchError

MAX_LIGHT_ELEMENTS = 4096
"""Largest tensor, in elements, of an operator that may stay outside the delegate, such as the classifier's tail."""

_HEAVY = ("convolution", "linear", "mm", "addmm", "bmm", "baddbmm", "scaled_dot_product_attention")
_CHEAP = (
    "getitem",
    "executorch_call_delegate",
    "quantize_per_tensor",
    "dequantize_per_tensor",
    "_to_dim_order_copy",
    "_clone_dim_order",
    "_to_copy",
    "clone",
    "alias_copy",
    "view_copy",
    "squeeze_copy",
    "unsqueeze_copy",
    "full",
)  # they move or wrap tensors and compute almost nothing, at any size


def undelegated(graph: torch.fx.Graph) -> list[str]:
    """Heavy operators of a lowered program outside the delegate, each as "operator in module"."""
    found = []
    for node in graph.nodes:
        if node.op != "call_function":
            continue
        name = _operator(node)
        if name in _CHEAP or (name not in _HEAVY and _largest(node) <= MAX_LIGHT_ELEMENTS):
            continue
        stack = list((node.meta.get("nn_module_stack") or {}).values())
        path = str(stack[-1][0]) if stack else ""
        found.append(f"{name} in {path.removeprefix('L__self__').strip('.') or 'the network itself'}")
    return found


def _operator(node: torch.fx.Node) -> str:
    schema = getattr(node.target, "_schema", None)
    name = schema.name if schema is not None else getattr(node.target, "__name__", str(node.target))
    return str(name).rpartition("::")[2]


def _largest(node: torch.fx.Node) -> int:
    values = [node.meta.get("val"), *(argument.meta.get("val") for argument in node.all_input_nodes)]
    tensors = [tensor for value in values for tensor in (value if isinstance(value, tuple | list) else [value])]
    return max((tensor.numel() for tensor in tensors if isinstance(tensor, torch.Tensor)), default=0)


def lower(captured: Any, inputs: tuple[torch.Tensor], allow: Sequence[str]) -> bytes:
    """Lower a captured network to XNNPACK.

    Args:
        captured: by `torch.export`.
        inputs: one example input, `float32 (1, 3, height, width)`, channels-last.
        allow: names of heavy operators that may run outside XNNPACK.

    Returns:
        The program, as the content of `model.pte`.

    Raises:
        WorkbenchError: XNNPACK did not take other heavy operators; the message names them.
    """
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    with _without_patterns():
        edge = to_edge_transform_and_lower(
            torch.export.export(captured, inputs, strict=False), partitioner=[XnnpackPartitioner()]
        )
    heavy = [text for text in undelegated(edge.exported_program().graph) if text.split(" in ")[0] not in allow]
    if heavy:
        raise WorkbenchError(
            f"XNNPACK did not take {len(heavy)} heavy operator{'s' * (len(heavy) > 1)}, which would run many times "
            f"slower outside it: {'; '.join(dict.fromkeys(heavy))}. Use another architecture, or allow them by name"
        )
    return bytes(edge.to_executorch().buffer)


@contextmanager
def _without_patterns() -> Iterator[None]:
    """Spare XNNPACK's passes their search for attention and upsampling written out in parts.

    Capturing twelve examples of both takes longer than lowering the usual network, and finds nothing: attention is
    rewritten before (`edge_sdk.workbench.rewrites.attention`), and upsampling reaches the delegate as one operator.
    """
    from executorch.backends.xnnpack._passes import convert_to_sdpa, convert_to_upsample_bilinear2d

    graphs = {convert_to_sdpa.sdpa: "get_graphs", convert_to_upsample_bilinear2d.bilinear_2d: "get_graphs_dict"}
    before = {module: getattr(module, name) for module, name in graphs.items()}
    for module, name in graphs.items():
        setattr(module, name, dict)
    try:
        yield
    finally:
        for module, name in graphs.items():
            setattr(module, name, before[module])


@contextmanager
def quiet() -> Iterator[None]:
    """Silence the exporter's warnings within this context; no user can act on them."""
    loggers = [logging.getLogger(name) for name in ("torchao", "torch.utils._pytree")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)  # compiled parts for other machines, deprecations inside
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
