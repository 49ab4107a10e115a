"""What stays outside XNNPACK in a lowered network: operator, module, and what to change."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from edge_sdk.workbench.walk import module_of

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
_CURES = (
    (("convolution",), "use convolutions over one or two dimensions, with weights that do not depend on the picture"),
    (("linear", "addmm", "mm"), "use a linear layer whose weights do not depend on the picture"),
    (("bmm", "baddbmm", "matmul"), "multiply tensors of rank three"),
    (("scaled_dot_product",), "use attention that is not causal, with a mask that does not depend on the picture"),
    (("layer_norm", "group_norm", "batch_norm", "rms_norm"), "use batch norm with its statistics fixed"),
    (("avg_pool", "adaptive", "max_pool"), "choose an input size that the pool's window divides"),
    (("upsample", "grid_sampler", "interpolate"), "resize bilinearly to a fixed size"),
    (("lstm", "gru", "rnn"), "use convolutions or attention in place of the recurrent layer"),
    (("fft", "complex", "view_as_real"), "use convolutions in place of the Fourier transform"),
    (
        ("index", "gather", "scatter", "topk", "sort", "arg", "where", "nonzero", "masked", "cumsum"),
        "use places and an order that do not depend on the picture, or do this step outside the network",
    ),
    (("permute", "transpose", "slice", "cat", "expand", "repeat"), "use tensors of rank six at most"),
)
_OTHERWISE = "use ReLU, sigmoid, tanh, GELU, hardswish or another activation made of sums, products, exp and roots"


@dataclass(frozen=True, slots=True)
class Outside:
    """An operator that runs in a portable kernel, tens of times slower than XNNPACK's.

    Attributes:
        operator: its name, such as "atan".
        module: the module that it stands in, such as "blocks.3.attn".
        cure: what to change in the network, as an order.
        heavy: whether it costs time: it multiplies matrices, or its tensors are large.
    """

    operator: str
    module: str
    cure: str
    heavy: bool

    def __str__(self) -> str:
        return f"{self.operator} in {self.module} ({self.cure})"


def outside(graph: torch.fx.Graph) -> list[Outside]:
    """The operators of a lowered program outside the delegate that compute something, in their order."""
    found = []
    for node in graph.nodes:
        if node.op != "call_function" or (name := _operator(node)) in _CHEAP:
            continue
        heavy = name in _HEAVY or _largest(node) > MAX_LIGHT_ELEMENTS
        found.append(Outside(name, module_of(node) or "the network itself", cure_of(name), heavy))
    return list(dict.fromkeys(found))


def cure_of(operator: str) -> str:
    """What to change in a network so that XNNPACK takes this operator's work."""
    return next((cure for words, cure in _CURES if any(word in operator for word in words)), _OTHERWISE)


def _operator(node: torch.fx.Node) -> str:
    schema = getattr(node.target, "_schema", None)
    name = schema.name if schema is not None else getattr(node.target, "__name__", str(node.target))
    return str(name).rpartition("::")[2]


def _largest(node: torch.fx.Node) -> int:
    values = [node.meta.get("val"), *(argument.meta.get("val") for argument in node.all_input_nodes)]
    tensors = [tensor for value in values for tensor in (value if isinstance(value, tuple | list) else [value])]
    return max((tensor.numel() for tensor in tensors if isinstance(tensor, torch.Tensor)), default=0)
