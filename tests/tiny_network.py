"""Networks small enough to export within a test run, and the bundle of one.

    python tiny_network.py FOLDER

writes them to FOLDER. It runs in a process of its own, so that the tests' process loads neither torch nor the exporter.
"""

from __future__ import annotations

import functools
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from edge_sdk._native import Program
from edge_sdk.model.bundle import Bundle, Golden, InputSpec, Manifest, write_bundle
from edge_sdk.model.policy import Policy
from edge_sdk.types import Image

WIDTH, HEIGHT = 40, 24
LABELS = ("empty", "deer", "fox")
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SPEC = InputSpec(WIDTH, HEIGHT, MEAN, STD)


@functools.cache
def programs() -> Path:
    """A folder with `last.pte` (int8, channels-last input), `first.pte` (int8, contiguous), `plain.pte` and more."""
    folder = tempfile.TemporaryDirectory(prefix="tiny-network-")
    _kept.append(folder)
    subprocess.run([sys.executable, __file__, folder.name], check=True, capture_output=True)
    return Path(folder.name)


_kept: list[tempfile.TemporaryDirectory[str]] = []


def picture(seed: int = 0, width: int = WIDTH, height: int = HEIGHT) -> Image:
    """Noise."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def manifest(program: Path, labels: tuple[str, ...] = LABELS) -> Manifest:
    """The manifest of a tiny network, its golden logits computed here."""
    logits = Program(str(program), MEAN, STD, 1).forward(picture())
    golden = Golden("golden.png", tuple(float(value) for value in logits), tolerance=0.05)
    return Manifest(
        name="tiny",
        version="1",
        labels=labels,
        input=SPEC,
        macs=1000,
        parameters=100,
        golden=golden,
        made_with={"a": "1"},
    )


def write_tiny_bundle(path: Path, policy: Policy | None = None) -> Bundle:
    """A whole bundle of the int8 network."""
    program = programs() / "last.pte"
    return write_bundle(path, model=program, manifest=manifest(program), golden=picture(), policy=policy)


def _export(folder: Path) -> None:
    import torch
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
        XNNPACKQuantizer,
        get_symmetric_quantization_config,
    )
    from executorch.exir import to_edge_transform_and_lower
    from torch import nn
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    from edge_sdk.workbench.lowering import _without_bookkeeping, _without_patterns

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.convolutions = nn.Sequential(
                nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, 1, 1, groups=8), nn.ReLU(), nn.Conv2d(8, 16, 1)
            )
            self.head = nn.Linear(16, len(LABELS))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            logits: torch.Tensor = self.head(self.convolutions(x).mean((2, 3), keepdim=True).flatten(1))
            return logits

    def write(
        name: str, module: nn.Module, *example: torch.Tensor, method: str = "forward", xnnpack: bool = True
    ) -> None:
        with _without_patterns(), _without_bookkeeping():
            program = to_edge_transform_and_lower(
                {method: torch.export.export(module, example)}, partitioner=[XnnpackPartitioner()] if xnnpack else []
            )
            (folder / f"{name}.pte").write_bytes(program.to_executorch().buffer)

    torch.manual_seed(0)
    torch.set_num_threads(1)
    network = Net().eval()
    first = torch.randn(8, 3, HEIGHT, WIDTH)
    for name, pictures in (("first", first), ("last", first.contiguous(memory_format=torch.channels_last))):
        example = pictures[:1]
        prepared = prepare_pt2e(
            torch.export.export(network, (example,)).module(),
            XNNPACKQuantizer().set_global(get_symmetric_quantization_config(is_per_channel=True)),
        )
        for picture in pictures:
            prepared(picture[None].contiguous(memory_format=torch.channels_last) if name == "last" else picture[None])
        write(name, convert_pt2e(prepared), example)
    write("plain", network, first[:1])
    write("portable", network, first[:1], xnnpack=False)
    write("no_forward", network, first[:1], method="encode")
    write("not_a_picture", nn.Linear(10, 3).eval(), torch.randn(1, 10))

    class Two(nn.Module):
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return x + 1, x * 2

    write("two_outputs", Two().eval(), first[:1])


if __name__ == "__main__":
    _export(Path(sys.argv[1]))
