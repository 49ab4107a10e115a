"""What the SDK costs per 640x480 frame beside the model's forward pass, on one core.

    python benchmarks/frame_overhead.py

Prints medians in milliseconds for frames that exit and for frames that are offloaded (encoded and durably on the disk).
The forward pass is measured inside the same call, by a clock around the runtime alone, and taken away.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from edge_sdk import EdgeClassifier, Frame, Image, MotionGate, open_camera
from edge_sdk.model.little import Program

FRAMES, WARM_UP = 400, 50


class TimedProgram:
    """The runtime with a clock around it."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self.width, self.height, self.outputs = program.width, program.height, program.outputs
        self.last_s = 0.0

    def forward(self, pixels: Image) -> NDArray[np.float32]:
        """As the runtime does it, timed."""
        start = time.perf_counter()
        logits = self._program.forward(pixels)
        self.last_s = time.perf_counter() - start
        return logits


def measure(frames: list[Frame], threshold: float) -> dict[str, list[float]]:
    """Milliseconds a frame, by part."""
    parts: dict[str, list[float]] = {"gate": [], "beside forward": [], "forward": [], "all": []}
    with (
        tempfile.TemporaryDirectory(dir=Path.cwd()) as state,
        EdgeClassifier(state_dir=state, threshold=threshold, budget="5MB/day", compute_budget="1000TMAC/day") as edge,
    ):
        gate = MotionGate()
        timed = edge._model._program = TimedProgram(edge._model._program)
        for frame in frames:
            start = time.perf_counter()
            gate.admits(frame)
            gated = time.perf_counter()
            edge.classify(frame)
            done = time.perf_counter()
            parts["gate"].append((gated - start) * 1e3)
            parts["forward"].append(timed.last_s * 1e3)
            parts["all"].append((done - start) * 1e3)
            parts["beside forward"].append((done - start - timed.last_s) * 1e3)
    return {name: values[WARM_UP:] for name, values in parts.items()}


def main() -> None:
    """Measure and print."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with open_camera("simulated://trailcam?seed=11") as camera:
        frames = list(islice(camera, FRAMES))
    table = Table(title="Milliseconds per 640x480 frame, one core, median (95th percentile)")
    for name in ("frame", "beside forward", "of this the gate", "forward", "all"):
        table.add_column(name, justify="left" if name == "frame" else "right")
    for name, threshold in (("exits", 0.0), ("offloaded", 1.01)):
        parts = measure(frames, threshold)
        cells = [
            f"{statistics.median(parts[part]):.3f} ({np.percentile(parts[part], 95):.3f})"
            for part in ("beside forward", "gate", "forward", "all")
        ]
        table.add_row(name, *cells)
    Console().print(table)


if __name__ == "__main__":
    main()
