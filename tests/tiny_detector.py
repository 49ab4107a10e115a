"""A detector small enough to export within a test run: how dark each cell of the input is.

    python tiny_detector.py FILE

writes its program. It runs in a process of its own, so that the tests' process loads neither torch nor the exporter.
"""

from __future__ import annotations

import functools
import subprocess
import sys
import tempfile
from pathlib import Path

from edge_sdk.model.bundle import InputSpec

SPEC = InputSpec(64, 48, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
CELL = 8
MACS = 3 * 64 * 48


@functools.cache
def program() -> Path:
    """The program's file."""
    folder = tempfile.TemporaryDirectory(prefix="tiny-detector-")
    _kept.append(folder)
    path = Path(folder.name) / "detector.pte"
    subprocess.run([sys.executable, __file__, str(path)], check=True, capture_output=True)
    return path


_kept: list[tempfile.TemporaryDirectory[str]] = []


def _export(path: Path) -> None:
    import torch
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    class Dark(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            across, down = SPEC.width // CELL, SPEC.height // CELL
            x, y = torch.meshgrid(torch.arange(across), torch.arange(down), indexing="xy")
            edges = torch.stack([x, y, x + 1, y + 1], -1) / torch.tensor([across, down, across, down])
            self.register_buffer("boxes", edges.reshape(1, -1, 4))
            self.mean = torch.nn.Conv2d(3, 1, CELL, CELL)
            torch.nn.init.constant_(self.mean.weight, -10 / (3 * CELL * CELL))
            assert self.mean.bias is not None
            torch.nn.init.constant_(self.mean.bias, 3)

        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            scores = self.mean(pixels).sigmoid().reshape(1, -1, 1)
            return torch.cat([self.get_buffer("boxes"), scores], 2).flatten(1)

    exported = torch.export.export(Dark().eval(), (torch.zeros(1, 3, SPEC.height, SPEC.width),))
    lowered = to_edge_transform_and_lower(exported, partitioner=[XnnpackPartitioner()])
    path.write_bytes(lowered.to_executorch().buffer)


if __name__ == "__main__":
    _export(Path(sys.argv[1]))
