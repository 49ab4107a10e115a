"""What the SDK costs per 640x480 frame beside the model's forward pass, on one core.

    python benchmarks/frame_overhead.py [--sync-ms 15] [--durable 1s]

Prints medians in milliseconds for frames that exit and for frames that are offloaded (encoded and durably on the disk).
The forward pass is measured inside the same call, by a clock around the runtime alone, and taken away. With `--sync-ms`
each sync lasts so long, as on an SD card (needs `cc`).
"""

from __future__ import annotations

import argparse
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
from slow_sync import restart_with

from edge_sdk import EdgeClassifier, Frame, Image, MotionGate, open_camera
from edge_sdk.config import StorageSettings
from edge_sdk.model.bundle import InputSpec
from edge_sdk.model.default_runtime import default_runtime
from edge_sdk.model.runtime import Program

FRAMES, WARM_UP = 400, 50


class TimedProgram:
    """A program of the runtime with a clock around it."""

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


class TimedRuntime:
    """The usual runtime, whose programs are timed."""

    def __init__(self) -> None:
        self._runtime = default_runtime()
        self.name, self.format = self._runtime.name, self._runtime.format

    def load(self, path: Path, spec: InputSpec, threads: int) -> TimedProgram:
        """As the runtime does it."""
        self.program = TimedProgram(self._runtime.load(path, spec, threads))
        return self.program


def measure(frames: list[Frame], threshold: float, durable: str) -> dict[str, list[float]]:
    """Milliseconds a frame, by part."""
    parts: dict[str, list[float]] = {"gate": [], "beside forward": [], "forward": [], "all": []}
    with (
        tempfile.TemporaryDirectory(dir=Path.cwd()) as state,
        EdgeClassifier(
            state_dir=state,
            threshold=threshold,
            budget="5MB/day",
            compute_budget="1000TMAC/day",
            storage=StorageSettings(durable=durable),
            runtime=(runtime := TimedRuntime()),
        ) as edge,
    ):
        gate, timed = MotionGate(), runtime.program
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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sync-ms", type=float, help="how long a sync lasts")
    parser.add_argument("--durable", default="frame", help="as `StorageSettings` takes it")
    options = parser.parse_args()
    if options.sync_ms is not None:
        restart_with(options.sync_ms)
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with open_camera("simulated://trailcam?seed=11") as camera:
        frames = list(islice(camera, FRAMES))
    table = Table(title="Milliseconds per 640x480 frame, one core, median (95th percentile)")
    for name in ("frame", "beside forward", "of this the gate", "forward", "all"):
        table.add_column(name, justify="left" if name == "frame" else "right")
    for name, threshold in (("exits", 0.0), ("offloaded", 1.01)):
        parts = measure(frames, threshold, options.durable)
        cells = [
            f"{statistics.median(parts[part]):.3f} ({np.percentile(parts[part], 95):.3f})"
            for part in ("beside forward", "gate", "forward", "all")
        ]
        table.add_row(name, *cells)
    Console().print(table)


if __name__ == "__main__":
    main()
