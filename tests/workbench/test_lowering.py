"""Lowering to XNNPACK."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from edge_sdk.errors import WorkbenchError
from edge_sdk.model.bundle import InputSpec
from edge_sdk.workbench.export import ExportReport, export
from edge_sdk.workbench.labelled import LabelledImage

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
    make(module, tmp_path / "bundle", fp32=True, allow=("atan",))
