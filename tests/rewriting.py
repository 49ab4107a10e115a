"""Captured, rewritten networks beside the original."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import torch
from torch import nn

from edge_sdk.model.bundle import InputSpec
from edge_sdk.workbench.labelled import LabelledImage
from edge_sdk.workbench.lowering import quiet
from edge_sdk.workbench.rewrites.capture import capture
from edge_sdk.workbench.tensors import to_tensor


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


COLOURS = ("red", "green", "blue")


def coloured(count: int, side: int, seed: int) -> list[LabelledImage]:
    """Noisy pictures with a large square of one colour."""
    rng = np.random.default_rng(seed)
    found = []
    for index in range(count):
        image = rng.integers(60, 140, (side, side, 3)).astype(np.uint8)
        top, left = rng.integers(0, side // 8, 2)
        image[top : top + 7 * side // 8, left : left + 7 * side // 8, index % 3] += 100
        found.append(LabelledImage(image, COLOURS[index % 3]))
    return found


def fit(network: nn.Module, pictures: list[LabelledImage], spec: InputSpec, steps: int = 30) -> None:
    """Bring each layer's outputs to deviation 1, and train the network for a few steps, until it is sure."""
    inputs = to_tensor(np.stack([picture.image for picture in pictures]), spec).contiguous()
    truths = torch.tensor([COLOURS.index(str(picture.label)) for picture in pictures])
    layers: list[Any] = [module for module in network.modules() if isinstance(module, nn.Linear | nn.Conv2d)]
    done: set[nn.Module] = set()

    def adjust(layer: Any, given: Any, output: torch.Tensor) -> Any:
        if layer not in done:
            done.add(layer)
            axis = output.dim() - 1 if isinstance(layer, nn.Linear) else 1
            deviation = output.std([at for at in range(output.dim()) if at != axis]).clamp_min(1e-4)
            layer.weight.div_(deviation.view(-1, *[1] * (layer.weight.dim() - 1)))
        return layer.forward(*given)

    network.train()
    with torch.no_grad():
        hooks = [layer.register_forward_hook(adjust) for layer in layers]
        network(inputs)
        for hook in hooks:
            hook.remove()
    optimiser = torch.optim.AdamW(network.parameters(), 2e-3, weight_decay=0.0)
    for step in range(steps):
        if step == 2 * steps // 3:  # the statistics that are used are those of the last weights
            for module in network.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()
        optimiser.zero_grad()
        loss: Any = nn.functional.cross_entropy(network(inputs), truths)
        with torch.backends.mkldnn.flags(enabled=False):  # edge_sdk/workbench/backward.py
            loss.backward()
        optimiser.step()
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 0.3
    network.eval()
