"""Little-Big on real photos, ImageNet weights: Lite0 at 224, 160 and 128 pixels in int8 on the device, Lite2 at 260.

    python benchmarks/photos.py [--out photos] [--draws 200] [--picture photos.png]

Needs the extra `photos` and `imagenet-photos.tar` of EDGE_SDK_DATA (500 photos, 299x299). A hash of each file's name
sets 100 of them apart, on which int8 is calibrated and nothing is judged. The other 400 are halved at random again and
again: temperature, gate and threshold are chosen on one half and judged on the other, so that each figure is of photos
that chose nothing. A photo travels as the policy's usual encoding, cut to the square that the big model sees. What the
models said is kept in OUT: the same command goes on where it was.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from data_archives import unpacked
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import nn

from edge_sdk.images.encode import encode
from edge_sdk.images.read import decode_image, read_image
from edge_sdk.images.rendition import Upload
from edge_sdk.model.bundle import InputSpec
from edge_sdk.model.little import LittleModel, prepare
from edge_sdk.networks.checkpoint import create_model
from edge_sdk.networks.checkpoint_info import CheckpointInfo
from edge_sdk.types import Image
from edge_sdk.workbench.cascade.confidence import fit_temperature, softmax
from edge_sdk.workbench.cascade.curve import Floats, cascade_curve, lossless
from edge_sdk.workbench.cascade.gate import fit_gate, gains, held_out_gains
from edge_sdk.workbench.cascade.guarantee import guaranteed_threshold, likely_start, quantile_candidates
from edge_sdk.workbench.export import export
from edge_sdk.workbench.photos import BIG_WEIGHTS, LITTLE_WEIGHTS, PackagedWeights
from edge_sdk.workbench.tensors import to_tensor

SIDES = (224, 160, 128)
BIG_SIDE = 260
UPLOAD = Upload(max_side=BIG_SIDE, quality=85, crop=(1, 1))
DROPS = (0.0, 0.005, 0.01)
EPS = (0.0, 0.01, 0.02)
DELTA = 0.05
CALIBRATION = 100


@dataclass(frozen=True, slots=True, eq=False)
class Said:
    """What a model says of the judged photos: `float32 (N, 1000)` logits, and its cost."""

    logits: NDArray[np.float32]
    macs: int


@dataclass(frozen=True, slots=True)
class Measured:
    """One rule on one half that chose nothing, as shares."""

    macs: float
    sent: float
    lost: float


def photos(out: Path) -> list[tuple[Path, int]]:
    """Every photo and its class, the 100 that calibrate int8 first."""
    folder = unpacked("imagenet-photos", out)
    files = sorted(folder.glob("[0-9][0-9][0-9]/*.jpg"), key=lambda file: hashlib.sha256(file.name.encode()).digest())
    return [(file, int(file.parent.name)) for file in files]


def network(weights: PackagedWeights, side: int) -> tuple[nn.Module, CheckpointInfo]:
    """The network of a package's weights, for an input of `side` pixels."""
    spec = InputSpec(side, side, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), "crop")
    return create_model(f"{weights.arch}={weights.path}", input=spec)


def images(files: list[tuple[Path, int]], what: str, console: Console) -> Iterator[Image]:
    """Decoded photos, with a bar."""
    for file, _ in track(files, what, console=console):
        yield read_image(file).image


def little(side: int, files: list[tuple[Path, int]], out: Path, console: Console) -> Said:
    """What Lite0's int8 bundle says of the judged photos, in the device's runtime."""
    bundle, kept = out / f"lite0-{side}", out / f"lite0-{side}.npy"
    if not (bundle / "manifest.json").exists():
        module, info = network(LITTLE_WEIGHTS, side)
        report = export(
            module,
            images(files[:CALIBRATION], f"calibrating Lite0@{side}", console),
            bundle,
            labels=info.labels,
            input=info.input,
            name=bundle.name,
            version="1",
            held_out=images(files[CALIBRATION:], f"measuring Lite0@{side}", console),
        )
        console.print(
            f"Lite0@{side}: int8 names the class of float32 on {report.agreement:.1%} of {report.measured} photos, "
            f"{report.model_bytes / 1e6:.2f} MB"
        )
    with LittleModel(bundle) as model:
        if not kept.exists():
            judged = images(files[CALIBRATION:], f"Lite0@{side}", console)
            np.save(kept, np.stack([model.logits(image) for image in judged]))
        return Said(np.load(kept), model.macs)


def big(files: list[tuple[Path, int]], out: Path, console: Console) -> tuple[Said, NDArray[np.int64]]:
    """What Lite2 says of the judged photos as they travel, and the bytes of each."""
    kept, sizes = out / f"lite2-{BIG_SIDE}.npy", out / "bytes.npy"
    module, info = network(BIG_WEIGHTS, BIG_SIDE)
    if not kept.exists():
        rows, sent = [], []
        for image in images(files[CALIBRATION:], f"Lite2@{BIG_SIDE}", console):
            data = encode(image, UPLOAD)
            seen = prepare(decode_image(data).image, info.input)
            with torch.inference_mode():
                rows.append(module(to_tensor(seen[None], info.input)).numpy()[0])
            sent.append(len(data))
        np.save(sizes, np.array(sent, np.int64))
        np.save(kept, np.stack(rows))
    return Said(np.load(kept), info.macs), np.load(sizes)


def halves(count: int, draws: int) -> Iterator[NDArray[np.bool_]]:
    """Random halves: True chooses, False is judged on."""
    for seed in range(draws):
        half = np.zeros(count, np.bool_)
        half[np.random.default_rng(seed).permutation(count)[: count // 2]] = True
        yield half


def judge(one: Said, two: Said, truths: NDArray[np.int64], draws: int) -> dict[str, list[Measured]]:
    """Every rule, chosen on one half and measured on the other, for each draw."""
    right, big_right = one.logits.argmax(1) == truths, two.logits.argmax(1) == truths
    found: dict[str, list[Measured]] = {}
    macs: dict[str, Any] = {"little_macs": one.macs, "big_macs": two.macs}
    for mine in halves(len(truths), draws):
        chances = softmax(one.logits, fit_temperature(one.logits[mine], truths[mine]))
        confidence = chances.max(1).astype(np.float64)
        gate = fit_gate(chances[mine], right[mine], big_right[mine])
        gated = -gains(gate, chances)
        gated[mine] = -held_out_gains(chances[mine], right[mine], big_right[mine])
        for name, score in (("plain", confidence), ("gate", gated)):
            curve = cascade_curve(score[mine], right[mine], big_right[mine], **macs)
            there = cascade_curve(score[~mine], right[~mine], big_right[~mine], **macs)
            thresholds = {f"{name}, may lose {100 * drop:g}": lossless(curve, drop=drop).threshold for drop in DROPS}
            if name == "plain":
                for eps in EPS:
                    # One more split: a promise's walk and start come from other photos than its p-values.
                    thresholds[f"guaranteed 95%, at most {100 * eps:g}"] = promised(score, right, big_right, mine, eps)
            for rule, threshold in thresholds.items():
                point = there.at(threshold)
                found.setdefault(rule, []).append(
                    Measured(point.macs / two.macs, 1 - point.exit_ratio, there.big_accuracy - point.accuracy)
                )
    return found


def promised(
    score: Floats, right: NDArray[np.bool_], big_right: NDArray[np.bool_], mine: NDArray[np.bool_], eps: float
) -> float:
    """The guaranteed threshold of the choosing half, of which a quarter chooses the walk."""
    chosen = np.flatnonzero(mine)
    first, rest = chosen[: len(chosen) // 4], chosen[len(chosen) // 4 :]
    walk = quantile_candidates(score[first])
    start = likely_start(
        score[first], right[first], big_right[first], eps=eps, delta=DELTA, records=len(rest), candidates=walk
    )
    return guaranteed_threshold(
        score[rest], right[rest], big_right[rest], eps=eps, delta=DELTA, candidates=walk, start=start
    ).threshold


def main() -> None:
    """Run what is missing and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("photos"), help="folder of bundles and answers")
    parser.add_argument("--draws", type=int, default=200, help="random halves")
    parser.add_argument("--picture", type=Path, help="draw accuracy against cost as PNG")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    console = Console(width=150)
    files = photos(options.out)
    truths = np.array([truth for _, truth in files[CALIBRATION:]], np.int64)
    two, sizes = big(files, options.out, console)
    littles = {side: little(side, files, options.out, console) for side in SIDES}
    table = Table(title=f"Lite0 -> Lite2@{BIG_SIDE}, {len(truths)} photos", title_justify="left")
    for column in ("little", "rule", "MACs of Lite2's", "sent", "kB a frame", "points lost", "5% .. 95% of draws"):
        table.add_column(column, justify="left" if column in ("little", "rule") else "right")
    for side, one in littles.items():
        console.print(
            f"Lite0@{side}: {(one.logits.argmax(1) == truths).mean():.1%} right, {one.macs / 1e6:.0f} MMAC; "
            f"Lite2@{BIG_SIDE}: {(two.logits.argmax(1) == truths).mean():.1%}, {two.macs / 1e6:.0f} MMAC"
        )
        for rule, measured in judge(one, two, truths, options.draws).items():
            sent = float(np.mean([each.sent for each in measured]))
            lost = np.array([100 * each.lost for each in measured])
            low, high = np.quantile(lost, (0.05, 0.95))
            macs = float(np.mean([each.macs for each in measured]))
            kilobytes = sent * sizes.mean() / 1e3
            table.add_row(
                f"@{side}",
                rule,
                f"{macs:.1%}",
                f"{sent:.1%}",
                f"{kilobytes:.2f}",
                f"{lost.mean():+.2f}",
                f"{low:+.1f} .. {high:+.1f}",
            )
    console.print(table)
    if options.picture:
        draw(options.picture, littles, two, truths)


def draw(path: Path, littles: dict[int, Said], two: Said, truths: NDArray[np.int64]) -> None:
    """Accuracy against MACs for every threshold, one line for each little model."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot()
    big_right = two.logits.argmax(1) == truths
    for side, one in littles.items():
        right = one.logits.argmax(1) == truths
        confidence = softmax(one.logits, fit_temperature(one.logits, truths)).max(1).astype(np.float64)
        curve = cascade_curve(confidence, right, big_right, little_macs=one.macs, big_macs=two.macs)
        axes.plot(curve.macs[1:] / two.macs * 100, curve.accuracy[1:] * 100, label=f"Lite0@{side}, then Lite2")
    axes.plot(100, big_right.mean() * 100, "o", color="black", label=f"Lite2@{BIG_SIDE} alone")
    axes.set_xlabel(f"MACs a frame, % of Lite2@{BIG_SIDE}'s")
    axes.set_ylabel("accuracy, %")
    axes.set_title(f"{len(truths)} photos, each threshold of the maximum softmax")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
