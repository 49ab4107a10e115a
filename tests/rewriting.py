"""Captured, rewritten networks beside the original."""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch
from torch import nn

from edge_sdk.workbench.lowering import quiet
from edge_sdk.workbench.rewrites.capture import capture


class Of(nn.Module):
    """A function as a network."""

    def __init__(self, function: Any, **modules: nn.Module) -> None:
        super().__init__()
        self.function = function
        for name, module in modules.items():
            self.add_module(name, module)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(self, x)  # type: ignore[no-any-return]


def rewritten(module: Any, *sizes: int, close: float = 2e-5) -> Counter[str]:
    """The operators that a network becomes; its outputs must stay what they were, to float rounding."""
    torch.manual_seed(0)
    network = (module if isinstance(module, nn.Module) else Of(lambda _, x: module(x))).eval()
    settle(network)
    examples = [torch.randn(1, *(sizes or (8, 6, 10))) for _ in range(3)]
    if examples[0].dim() == 4:
        examples = [one.contiguous(memory_format=torch.channels_last) for one in examples]
    with quiet(), torch.no_grad():
        captured = capture(network, (examples[0],))
        for one in examples:
            wanted = network(one)
            torch.testing.assert_close(captured(one), wanted, atol=close * float(wanted.abs().max()), rtol=close)
    names = (str(node.target) for node in captured.graph.nodes if node.op == "call_function")
    return Counter(name.removeprefix("aten.").partition(".")[0] for name in names)


def settle(network: nn.Module) -> None:
    """Give batch norms statistics and factors of their own."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) and module.running_mean is not None:
            nn.init.normal_(module.running_mean, 0, 0.5)
            nn.init.uniform_(module.running_var, 0.5, 2)  # type: ignore[arg-type]
            if module.affine:
                nn.init.uniform_(module.weight, 0.5, 2)
                nn.init.normal_(module.bias)
