"""What a frame costs in which nothing moves: a small picture for the gate, against each full picture read out.

    python benchmarks/lores.py [--size 2304x1296] [--frames 200]

Full pictures are copied out of six buffers, which together are mostly not in the processor's
cache, as a camera's buffers are: the figures are those of this machine's copies and not of a Raspberry Pi.
"""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import click
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from edge_sdk.camera.gate import MotionGate
from edge_sdk.camera.picamera import usual_lores
from edge_sdk.types import Frame, Image

START = datetime(2026, 5, 1, tzinfo=UTC)


class Buffer:
    """A picture in a camera's buffer, as `edge_sdk.camera.picamera.Held`."""

    def __init__(self, full: Image, grey: NDArray[np.uint8]) -> None:
        self._full = full
        self.size = full.shape[1], full.shape[0]
        self.small = grey.copy()

    def read(self) -> Image:
        """The full picture, copied."""
        return self._full.copy()


@click.command()
@click.option("--size", default="2304x1296", show_default=True)
@click.option("--frames", default=200, show_default=True)
def main(size: str, frames: int) -> None:
    """Print the table."""
    width, height = map(int, size.split("x"))
    small = usual_lores((width, height)) or (width, height)
    random = np.random.default_rng(0)
    buffers = [random.integers(90, 110, (height, width, 3), np.uint8) for _ in range(6)]
    greys = [random.integers(90, 110, (small[1], small[0]), np.uint8) for _ in range(6)]
    ways: dict[str, Callable[[int, datetime], Frame]] = {
        "full picture read out": lambda n, at: Frame(buffers[n % 6].copy(), at),
        "small picture": lambda n, at: Frame.taken(Buffer(buffers[n % 6], greys[n % 6]), at),
    }
    gates = {way: MotionGate() for way in ways}
    took: dict[str, list[float]] = {way: [] for way in ways}
    for number in range(frames):
        for way, make in ways.items():
            begin_s = time.thread_time()
            gates[way].admits(make(number, START + timedelta(seconds=number / 10)))
            if number >= 10:  # the gate is learning
                took[way].append(time.thread_time() - begin_s)
    table = Table(title=f"{size}, small picture {small[0]}x{small[1]}, {platform.machine()}, {frames} frames")
    for column in ("", "processor time a frame", "bytes copied a frame", "passed over"):
        table.add_column(column, justify="right" if column else "left")
    copied = {"full picture read out": width * height * 3, "small picture": small[0] * small[1]}
    for way, seconds in took.items():
        gate = gates[way]
        share = f"{gate.passed_over} of {gate.seen}"
        table.add_row(way, f"{1e3 * statistics.median(seconds):.2f} ms", f"{copied[way] / 1e6:.2f} MB", share)
    Console().print(table)


if __name__ == "__main__":
    main()
