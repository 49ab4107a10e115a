"""XNNPACK's quantizer, with activations fused as its delegate fuses them.

ExecuTorch's `XNNPACKQuantizer` fuses ReLU alone into the layer before it. The delegate fuses every clamp
(`FuseActivationPass`: relu and hardtanh, which ReLU6 is), and drops it. Where the quantizer observes the value between
layer and clamp, int8 spends its 256 steps on values that the clamp then cuts off.
"""

from __future__ import annotations

from typing import Any

import torch
from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
    XNNPACKQuantizer,
    get_symmetric_quantization_config,
)
from torchao.quantization.pt2e.quantizer import QuantizationAnnotation
from torchao.quantization.pt2e.quantizer.quantizer import Q_ANNOTATION_KEY

from edge_sdk.workbench.rewrites.editor import KEEPS_FLOAT

_ATEN = torch.ops.aten
_CLAMPS = (_ATEN.hardtanh.default, _ATEN.hardtanh_.default, _ATEN.relu6.default, _ATEN.relu6_.default)
_BOUNDED = (_ATEN.clamp.default, _ATEN.clamp_.default)
_FUSE = (_ATEN.conv2d.default, _ATEN.linear.default, _ATEN.add.Tensor, _ATEN.add_.Tensor)


class FusingQuantizer(XNNPACKQuantizer):  # type: ignore[misc]  # executorch is not typed
    """Static int8, weights per channel, with ReLU, ReLU6 and other clamps fused into convolutions, linears and sums."""

    SUPPORTED_PATTERNS = [  # noqa: RUF012  # pooling is a mean by now, which shares the range of what it reads
        pattern for pattern in XNNPACKQuantizer.SUPPORTED_PATTERNS if pattern.name != "adaptive_avg_pool2d"
    ]

    def __init__(self) -> None:
        super().__init__()
        self.set_global(get_symmetric_quantization_config(is_per_channel=True))

    def transform_for_annotation(self, model: Any) -> Any:
        """Write `clamp(low, high)` as the hardtanh that the delegate fuses."""
        for node in model.graph.nodes:
            if node.op == "call_function" and node.target in _BOUNDED:
                bounds = [*node.args[1:], *(node.kwargs.get(name) for name in ("min", "max") if name in node.kwargs)]
                if len(bounds) == 2 and all(isinstance(bound, int | float) for bound in bounds):
                    node.target, node.args, node.kwargs = _ATEN.hardtanh.default, (node.args[0], *bounds), {}
        return super().transform_for_annotation(model)

    def annotate(self, model: Any) -> Any:
        """Annotate as XNNPACK's quantizer does, and move the observer from before a fused clamp to behind it."""
        for node in model.graph.nodes:
            if KEEPS_FLOAT in node.meta:
                node.meta[Q_ANNOTATION_KEY] = QuantizationAnnotation(_annotated=True)  # done: nothing is observed
        model = super().annotate(model)
        for node in model.graph.nodes:
            if node.op != "call_function" or node.target not in _CLAMPS:
                continue
            layer = node.args[0]
            said = layer.meta.get(Q_ANNOTATION_KEY)
            if layer.target not in _FUSE or len(layer.users) != 1 or said is None or said.output_qspec is None:
                continue
            node.meta[Q_ANNOTATION_KEY] = QuantizationAnnotation(output_qspec=said.output_qspec, _annotated=True)
            said.output_qspec = None
        return model
