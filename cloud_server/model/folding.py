"""Batch norm folded into the convolution before it: the same function, with one pass over the data less for each pair.

In evaluation a batch norm multiplies each channel by a constant and adds another. Where a convolution's output goes
nowhere else, both go into its weights (Jacob et al., "Quantization and training of neural networks for efficient
integer-arithmetic-only inference", CVPR 2018, section 3.2). The activation that timm puts into the norm's module stays.
"""

from __future__ import annotations

import copy
import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

_log = logging.getLogger(__name__)
CLOSE = 1e-3
"""Greatest difference of a logit, relative to the greatest, up to which the folded network counts as the same."""


def fold_batch_norms(module: torch.nn.Module, sample: torch.Tensor) -> tuple[torch.nn.Module, int]:
    """A copy of a network with its batch norms folded, and how many; the network itself where that cannot be done.

    Args:
        module: in evaluation mode, with floating-point weights on one device.
        sample: `float32 (1, 3, H, W)`, an input; what the folded network says of it is compared.

    Returns:
        The network to run, and the number of folded norms.
    """
    import torch

    try:
        folded = copy.deepcopy(module)
        count = _fold(folded)
        if not count:
            return module, 0
        with torch.inference_mode():
            expected, got = module(sample).float(), folded(sample).float()
        if torch.allclose(got, expected, rtol=CLOSE, atol=CLOSE * max(1e-6, float(expected.abs().max()))):
            return folded, count
        _log.warning("batch norms were not folded: the answers would differ by %g", float((got - expected).abs().max()))
    except Exception as error:  # a network that cannot be traced or copied runs as it is
        _log.debug("batch norms were not folded", exc_info=error)
    return module, 0


def _fold(module: torch.nn.Module) -> int:
    from torch import fx, nn
    from torch.nn.utils.fusion import fuse_conv_bn_weights

    leaves = (nn.Conv2d, nn.BatchNorm2d)

    class Tracer(fx.Tracer):
        """Traces this thread alone: torch lets a tracer see the modules of all threads, which may serve meanwhile."""

        thread: int | None = threading.get_ident()

        def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
            return isinstance(m, leaves) or super().is_leaf_module(m, module_qualified_name)

        def call_module(self, m: nn.Module, forward: Callable[..., Any], args: Any, kwargs: Any) -> Any:
            if threading.get_ident() != self.thread:
                return forward(*args, **kwargs)
            return super().call_module(m, forward, args, kwargs)

        def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: dict[str, Any]) -> Any:
            if threading.get_ident() != self.thread:
                return attr_val
            return super().getattr(attr, attr_val, parameter_proxy_cache)

    tracer = Tracer()
    try:
        graph = tracer.trace(module)
    finally:
        tracer.thread = None
    modules = dict(module.named_modules())
    calls = [node for node in graph.nodes if node.op == "call_module"]
    uses = {target: sum(node.target == target for node in calls) for target in {str(node.target) for node in calls}}
    count = 0
    for node in calls:
        norm, before = modules[str(node.target)], node.args[0] if node.args else None
        if not isinstance(norm, nn.BatchNorm2d) or not isinstance(before, fx.Node) or before.op != "call_module":
            continue
        convolution = modules[str(before.target)]
        own_forward = type(convolution).forward is not nn.Conv2d.forward
        if own_forward and type(convolution).__name__ != "Conv2dSame":  # that pads, others may change their weights
            continue
        if not isinstance(convolution, nn.Conv2d) or len(before.users) > 1 or norm.running_mean is None:
            continue
        if uses[str(node.target)] > 1 or uses[str(before.target)] > 1 or norm.running_var is None:
            continue
        convolution.weight, convolution.bias = fuse_conv_bn_weights(
            convolution.weight,
            convolution.bias,
            norm.running_mean,
            norm.running_var,
            norm.eps,
            norm.weight,
            norm.bias,
        )
        rest = [part for name in ("drop", "act") if (part := getattr(norm, name, None)) is not None]
        parent, _, name = str(node.target).rpartition(".")
        setattr(modules[parent], name, nn.Sequential(*rest) if rest else nn.Identity())
        count += 1
    return count
