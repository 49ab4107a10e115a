"""A walk in torch meets the values of the device's runtime, bit for bit."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from edge_sdk._native import Program
from edge_sdk.model.bundle import InputSpec
from edge_sdk.workbench.bias_correction import correct_biases
from edge_sdk.workbench.device_rounding import round_as_device
from edge_sdk.workbench.lowering import lower, quiet
from edge_sdk.workbench.observers import without_observers
from edge_sdk.workbench.quantise import example
from edge_sdk.workbench.walk import steps

pytestmark = pytest.mark.filterwarnings("ignore")  # of the exporter's own code
SPEC = InputSpec(width=22, height=18, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))


class Residual(nn.Module):
    """Sums of unlike steps, depthwise, strided, clamped and unclamped layers, a mean, a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.wide = nn.Conv2d(3, 12, 3, 2, 1), nn.Conv2d(12, 24, 1)
        self.deep, self.back = nn.Conv2d(24, 24, 5, 1, 2, groups=24), nn.Conv2d(24, 12, 1)
        self.other, self.head = nn.Conv2d(12, 12, 3, 1, 1), nn.Linear(12, 30)
        with torch.no_grad():
            self.back.weight *= 7

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = nn.functional.relu6(self.stem(x))
        x = x + self.back(nn.functional.relu6(self.deep(nn.functional.relu(self.wide(x)))))
        x = nn.functional.relu(self.other(x) + x)
        return self.head(x.mean((2, 3)))  # type: ignore[no-any-return]


@pytest.mark.parametrize("seed", range(3))
def test_the_walk_gives_the_devices_logits(seed: int, tmp_path: Path) -> None:
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    from edge_sdk.workbench.quantizer import FusingQuantizer

    torch.manual_seed(seed)
    pixels = np.random.default_rng(seed).integers(0, 256, (12, 18, 22, 3), dtype=np.uint8)
    inputs = [example(pixels[at : at + 1], SPEC) for at in range(len(pixels))]
    with quiet():
        captured: Any = torch.export.export(Residual().eval(), (inputs[0],), strict=False).module()
        prepared = prepare_pt2e(captured, FusingQuantizer())
        for picture in inputs:
            prepared(picture)
        network, reference = convert_pt2e(copy.deepcopy(prepared)), without_observers(prepared)
        correct_biases(network, reference, inputs, rounding=True)
        (tmp_path / "model.pte").write_bytes(lower(network, (inputs[0],), ()).program)
    program = Program(str(tmp_path / "model.pte"), SPEC.mean, SPEC.std)
    on_device = np.stack([program.forward(picture) for picture in pixels])
    outputs: list[torch.Tensor] = []
    with torch.no_grad():
        for step in steps(network, inputs):
            round_as_device(network, step.node, step.values, step.inputs_of)
            outputs = step.values
    assert np.array_equal(torch.cat(outputs).numpy(), on_device)
    assert len(np.unique(on_device)) > 50
