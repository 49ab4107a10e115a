"""Bringing a picture to a network's input: milliseconds, errors, and what the rule means for a network's accuracy.

    python benchmarks/resize.py [--rounds 60]
    python benchmarks/resize.py --photos FOLDER [--arch NAME --weights FILE] [--sizes 224,160,128]

The first form compares one pass of the compiled module (scale, normalise, layout; `input.scaling` 2) with OpenCV's
halvings and `INTER_LINEAR` followed by the module's normalisation (`input.scaling` 1), in turns, one core. Errors are
against the exact weighted mean in float64.

The second form judges a network in float32 on photos (`FOLDER/labels.csv`: file, imagenet_class) at each size by each
rule, with the paired 95% interval of the difference. The weights are any that `edge-sdk import` takes; by default those
of EfficientNet-Lite0 (the extra `photos`). Both forms need the extra `workbench`.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from edge_sdk.images.read import read_image
from edge_sdk.images.scale import scale, scale_plain
from edge_sdk.model.inputs import InputSpec, prepare
from edge_sdk.types import Image
from edge_sdk.workbench.tensors import to_tensor

CASES = [
    *[(640, 480, 160, 120), (1920, 1080, 224, 224), (2592, 1944, 160, 120), (4056, 3040, 224, 224)],
    *[(299, 299, 224, 224), (320, 240, 256, 192), (320, 240, 160, 120)],
]
HALF = (0.5, 0.5, 0.5)


def picture(width: int, height: int) -> Image:
    """Coarse and fine noise, as a photo has structures of every size."""
    rng = np.random.default_rng(0)
    coarse = cv2.resize(rng.integers(0, 256, (height // 9 + 2, width // 9 + 2, 3), np.uint8), (width, height))
    noisy: Image = np.clip(coarse.astype(np.int16) + rng.integers(-25, 26, coarse.shape), 0, 255).astype(np.uint8)
    return noisy


def exact(image: Image, width: int, height: int) -> NDArray[np.float64]:
    """The weighted mean with weights that are not rounded: the rule's words in float64."""
    down, across = (matrix(old, new) for old, new in ((image.shape[0], height), (image.shape[1], width)))
    rows = np.einsum("yh,hwc->ywc", down, image.astype(np.float64), optimize=True)
    pixels: NDArray[np.float64] = np.einsum("xw,ywc->yxc", across, rows, optimize=True)
    return pixels


def matrix(m: int, n: int) -> NDArray[np.float64]:
    """What each of n output pixels takes of each of m input pixels, `float64 (n, m)`."""
    i, j = np.arange(n)[:, None], np.arange(m)[None]
    if m >= n:
        raw = np.minimum((j + 1) / m, (i + 1) / n) - np.maximum(j / m, i / n)
    else:
        raw = 1 - np.abs((j + 0.5) - (i + 0.5) * m / n)
    shares: NDArray[np.float64] = np.maximum(raw, 0).astype(np.float64)
    shares /= shares.sum(1, keepdims=True)
    return shares


def quartiles(calls: list[Callable[[], object]], rounds: int) -> list[float]:
    """Milliseconds of each call, the lower quartile, which others on the machine disturb least; they take turns."""
    times: list[list[float]] = [[] for _ in calls]
    for _ in range(rounds):
        for call, mine in zip(calls, times, strict=True):
            start = time.perf_counter()
            call()
            mine.append(time.perf_counter() - start)
    return [1e3 * float(np.quantile(mine, 0.25)) for mine in times]


def empty_program(folder: Path, width: int, height: int) -> str:
    """A network that looks at the first pixel alone, so that its time is the input's."""
    import torch

    from edge_sdk.workbench.lowering import lower, quiet

    first = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1, stride=(height, width)), torch.nn.Flatten()).eval()
    inputs = (torch.zeros(1, 3, height, width).to(memory_format=torch.channels_last),)
    path = folder / f"{width}x{height}.pte"
    with quiet():
        path.write_bytes(lower(torch.export.export(first, inputs).module(), inputs, ()).program)
    return str(path)


def speed(rounds: int) -> Table:
    """Milliseconds side by side, and errors."""
    from edge_sdk._native import Program

    table = Table(title=f"one core, OpenCV {cv2.__version__}, lower quartile of {rounds} rounds", title_justify="left")
    for name in (
        "picture to input",
        "OpenCV + binding ms",
        "one pass ms",
        "ratio",
        "numpy ms",
        "largest error",
        "mean error",
    ):
        table.add_column(name, justify="left" if name == "picture to input" else "right")
    with tempfile.TemporaryDirectory() as folder:
        for old_width, old_height, width, height in CASES:
            image, spec = picture(old_width, old_height), InputSpec(width, height, HALF, HALF)
            old, part = msgspec.structs.replace(spec, scaling=1), (0, 0, width, height)
            program = Program(empty_program(Path(folder), width, height), HALF, HALF, 1)
            before = partial(lambda image, program, spec: program.forward(prepare(image, spec)), image, program, old)
            after = partial(program.forward_scaled, image, part, spec.fill)
            before_ms, after_ms = quartiles([before, after], rounds)
            numpy_ms = quartiles([partial(scale_plain, image, width, height)], 3)[0]
            off = np.abs(scale(image, width, height) - exact(image, width, height))
            cells = (f"{before_ms:.3f}", f"{after_ms:.3f}", f"{before_ms / after_ms:.2f}", f"{numpy_ms:.1f}")
            name = f"{old_width}x{old_height} to {width}x{height}"
            table.add_row(name, *cells, f"{off.max():.3f}", f"{off.mean():.3f}")
    return table


def accuracy(photos: Path, arch: str, weights: Path, sizes: list[int]) -> Table:
    """Top-1 and top-5 of a network in float32 by both rules, and the paired difference."""
    import torch

    from edge_sdk.networks.foreign import import_weights

    found = import_weights(weights, arch=arch)
    with (photos / "labels.csv").open() as file:
        rows = list(csv.DictReader(file))
    images = [read_image(photos / row["file"]).image for row in rows]
    truths = np.array([int(row["imagenet_class"]) for row in rows])
    table = Table(title=f"{arch}, float32, {len(images)} photos", title_justify="left")
    for name in ("size", "rule", "top-1", "top-5", "top-1 against rule 1 (95%)", "same class"):
        table.add_column(name, justify="right")
    for size in sizes:
        first = np.zeros((len(images), 5), np.int64)
        for scaling in (1, 2):
            spec = msgspec.structs.replace(found.info.input, width=size, height=size, scaling=scaling)
            pixels = np.stack([prepare(image, spec) for image in images])
            with torch.inference_mode():
                parts = np.array_split(pixels, max(1, len(pixels) // 20))
                logits = np.concatenate([found.module(to_tensor(part, spec)).numpy() for part in parts])
            best = np.argsort(-logits, axis=1)[:, :5]
            right = best[:, 0] == truths
            cells = [f"{right.mean():.1%}", f"{(best == truths[:, None]).any(1).mean():.1%}", "", ""]
            if scaling == 1:
                first = best
            else:
                gain = right.astype(float) - (first[:, 0] == truths)
                half = 1.96 * gain.std() / np.sqrt(len(gain))
                cells[2] = f"{gain.mean():+.1%} ({gain.mean() - half:+.1%} to {gain.mean() + half:+.1%})"
                cells[3] = f"{(first[:, 0] == best[:, 0]).mean():.1%}"
            table.add_row(str(size), str(scaling), *cells)
    return table


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--arch", default="tf_efficientnet_lite0")
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--sizes", default="224,160,128")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    sizes = [int(size) for size in options.sizes.split(",")]
    if options.photos:
        from edge_sdk.workbench.photos import LITTLE_WEIGHTS

        Console().print(accuracy(options.photos, options.arch, options.weights or LITTLE_WEIGHTS.path, sizes))
    else:
        Console().print(speed(options.rounds))


if __name__ == "__main__":
    main()
