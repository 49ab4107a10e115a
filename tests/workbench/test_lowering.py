"""Lowering to XNNPACK."""

import gc
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.fx.traceback import NodeSource

from edge_sdk.errors import WorkbenchError
from edge_sdk.model.bundle import InputSpec
from edge_sdk.workbench.export import ExportReport, export
from edge_sdk.workbench.labelled import LabelledImage
from edge_sdk.workbench.lowering import lower, quiet
from edge_sdk.workbench.quantise import logits_of, quantise
from edge_sdk.workbench.rewrites.capture import capture

RUN = torch.fx.Interpreter.run_node
SPEC = InputSpec(32, 24, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
LABELS = ("a", "b", "c")


def pictures(count: int) -> list[LabelledImage]:
    rng = np.random.default_rng(0)
    images = [np.full((48, 64, 3), rng.integers(0, 256, 3), np.uint8) for _ in range(count)]
    return [LabelledImage(image, LABELS[index % 3]) for index, image in enumerate(images)]


def make(module: nn.Module, out: Path, **changes: object) -> ExportReport:
    settings = {"labels": LABELS, "input": SPEC, "name": "tiny", "version": "1"}
    return export(module, pictures(24), out, **{**settings, **changes})  # type: ignore[arg-type]


class Odd(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.atan(x)


def test_a_heavy_operator_outside_xnnpack_is_named_with_its_module(tmp_path: Path) -> None:
    module = nn.Sequential()
    module.add_module("front", nn.Conv2d(3, 16, 3, padding=1))
    module.add_module("odd", Odd())
    module.add_module("pool", nn.AdaptiveAvgPool2d(1))
    module.add_module("flat", nn.Flatten(1))
    module.add_module("head", nn.Linear(16, 3))
    with pytest.raises(WorkbenchError, match=r"1 heavy operator,.*atan in odd"):
        make(module.eval(), tmp_path / "bundle", fp32=True)
    assert not (tmp_path / "bundle").exists()
    told: list[tuple[str, int, int]] = []
    make(module, tmp_path / "bundle", fp32=True, allow=("atan",), on_progress=lambda *it: told.append(it))
    parts = [done for what, done, of in told if what == "lowering to XNNPACK, per cent" and of == 100]
    assert parts == sorted(parts) and parts[0] == 0 and parts[-1] == 100
    assert len(parts) > 20 and parts[-2] > 50  # it moves, and the passes are about as many as was thought
    assert torch.fx.Interpreter.run_node is RUN


def test_what_is_spared_changes_nothing_and_is_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = (torch.rand(1, 3, 24, 32).contiguous(memory_format=torch.channels_last),)
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(1), nn.Linear(8, 3))
    with quiet():
        captured = capture(network.eval(), inputs)
        pixels = np.random.default_rng(0).integers(0, 256, (16, 24, 32, 3), np.uint8)
        wanted = logits_of(network, pixels, SPEC)
        captured = quantise(captured, pixels, SPEC, wanted, effort="fast").network
        spared = lower(captured, inputs, ()).program
        assert gc.isenabled()
        assert "__deepcopy__" not in vars(NodeSource)
        monkeypatch.setattr("edge_sdk.workbench.lowering._without_bookkeeping", nullcontext)
        monkeypatch.setattr("edge_sdk.workbench.lowering._without_patterns", nullcontext)
        assert lower(captured, inputs, ()).program == spared
