"""A runtime without a network, and a bundle for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_sdk.model.bundle import Bundle, Golden, InputSpec, Manifest, Task, write_bundle
from edge_sdk.model.policy import Policy
from edge_sdk.types import Image

Logits = Callable[[Image], Sequence[float]]
"""Logits, one per label, of `uint8 (height, width, 3)` RGB pixels at the input's size."""


def brightness(pixels: Image) -> tuple[float, float]:
    """Two logits: dark pictures are the first class, bright ones the second."""
    mean = float(pixels.mean()) / 255
    return 8 * (0.5 - mean), 8 * (mean - 0.5)


class FakeRuntime:
    """Runs a function in place of a network.

    Args:
        logits: the function.

    Attributes:
        seen: the pixels of each forward pass.
    """

    name = "fake"
    format = "fake"

    def __init__(self, logits: Logits = brightness) -> None:
        self._logits = logits
        self.seen: list[Image] = []

    def load(self, path: Path, spec: InputSpec, threads: int) -> FakeProgram:
        """See `Runtime.load`; the file is not read."""
        outputs = len(self._logits(np.zeros((spec.height, spec.width, 3), np.uint8)))
        return FakeProgram(spec.width, spec.height, outputs, self._logits, self.seen)


@dataclass(frozen=True, slots=True)
class FakeProgram:
    """What `FakeRuntime` loads."""

    width: int
    height: int
    outputs: int
    logits: Logits
    seen: list[Image]

    def forward(self, pixels: Image) -> NDArray[np.float32]:
        """See `Program.forward`."""
        self.seen.append(pixels)
        return np.array(self.logits(pixels), np.float32)


def write_fake_bundle(
    path: str | Path,
    labels: tuple[str, ...] = ("dark", "bright"),
    *,
    logits: Logits = brightness,
    size: tuple[int, int] = (32, 32),
    macs: int = 1000,
    policy: Policy | None = None,
    task: Task = Task.CLASSIFY,
) -> Bundle:
    """Write a bundle that `FakeRuntime(logits)` runs.

    Args:
        path: the folder.
        labels: class names, one per logit.
        logits: as in `FakeRuntime`.
        size: width and height of the input, pixels.
        macs: what one forward pass counts against a compute budget.
        policy: how to use it; None: the cautious `Policy()`.
        task: what the numbers are; of a detector, as `edge_sdk.model.bundle_detector` has them.
    """
    golden = np.full((size[1], size[0], 3), 200, np.uint8)
    said = tuple(float(value) for value in logits(golden))
    manifest = Manifest(
        name=Path(path).name,
        version="1",
        task=task,
        labels=labels,
        input=InputSpec(*size, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
        macs=macs,
        parameters=1,
        precision="none",
        model="model.fake",
        format="fake",
        golden=Golden("golden.png", said, tolerance=1e-3),
    )
    return write_bundle(path, model=b"fake", manifest=manifest, golden=golden, policy=policy)
