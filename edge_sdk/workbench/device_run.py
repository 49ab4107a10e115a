"""A bundle run by the device's runtime, and compared with the torch network that was lowered into it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_sdk.errors import WorkbenchError
from edge_sdk.model.bundle import Bundle, read_golden
from edge_sdk.model.little import LittleModel
from edge_sdk.workbench.likeness import likeness

MIN_SAME = 0.95
"""Share of the pictures on which the device's runtime must name the quantised network's class."""

TOO_FAR = 0.05
"""Error of the logits (`Likeness.error`) from the quantised network's in torch, above which the program is another."""


@dataclass(frozen=True, slots=True, eq=False)
class DeviceRun:
    """What the device's runtime gave.

    Attributes:
        logits: `float32 (N, C)`.
        golden: `float32 (C,)`, of the bundle's golden picture.
        latency_ms: median time of a picture at the input's size, one thread, on this machine.
    """

    logits: NDArray[np.float32]
    golden: NDArray[np.float32]
    latency_ms: float


def run_on_device(
    bundle: Bundle,
    pixels: NDArray[np.uint8],
    expected: NDArray[np.float32],
    wanted: NDArray[np.int64],
    on_done: Callable[[int, int], None],
) -> DeviceRun:
    """Run a bundle; its answers must be those of the torch network that was lowered.

    A network that is undecided may name another class there, if only as often the float network's, or if its logits
    are near (error at most `TOO_FAR`).

    Args:
        bundle: to run.
        pixels: `uint8 (N, H, W, 3)`, at the input's size.
        expected: `(N, C)`, logits of the network that was lowered, in torch.
        wanted: `(N,)`, the float network's classes.
        on_done: called as `on_done(done, of)` after each picture.

    Raises:
        WorkbenchError: the runtime cannot run it, or its answers are others.
    """
    rows, times = [], []
    try:
        with LittleModel(bundle) as model:
            for image in pixels:
                start = time.perf_counter()
                rows.append(model.logits(image))
                times.append(time.perf_counter() - start)
                on_done(len(rows), len(pixels))
            golden = model.logits(read_golden(bundle))
    except RuntimeError as error:
        raise WorkbenchError(f"expected a program that the device's runtime runs: {error}") from error
    ran = np.stack(rows)
    got, emulated = ran.argmax(1), expected.argmax(1)
    same = float((got == emulated).mean())
    fewer = (got == wanted).mean() < (emulated == wanted).mean() - (1 - MIN_SAME)
    if same < MIN_SAME and fewer and likeness(ran, expected).error > TOO_FAR:
        raise WorkbenchError(
            f"expected the device's runtime to name the quantised network's class on {MIN_SAME:.0%} of the pictures; "
            f"it does on {same:.1%}"
        )
    return DeviceRun(ran, golden, 1e3 * statistics.median(times))
