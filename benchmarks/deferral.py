"""Deferral training against none, on real photos: exits at no loss, half a point and a point, at equal training steps.

    python benchmarks/deferral.py [--data FOLDER] [--out FOLDER] [--big FILE] [--weights 0.2 0.5 0.8]

FOLDER is an unpacked `wildlife64/train` (CLASS/*.JPEG, as named in Tiny-ImageNet); without --data, the file
`wildlife64-train.tar` of EDGE_SDK_DATA is unpacked into --out. A hash of each file's name splits off a tenth each for
validation, calibration and test. A little network is trained for ten epochs; from it, two more epochs are trained with
the cross-entropy ("plain") and with Gatekeeper's loss (arXiv 2502.19335) at several weights, the same pictures in the
same order. FILE is a checkpoint with ImageNet's 1,000 classes in their order, of which the big model keeps the 40, or
one with the 40. Thresholds are chosen on calibration photos and judged on test photos. Stopped at any moment, the same
command goes on where it was.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from wildlife import class_folders

from edge_sdk.networks.checkpoint import load_checkpoint
from edge_sdk.networks.timm_library import import_timm
from edge_sdk.workbench.cascade.confidence import fit_temperature, softmax
from edge_sdk.workbench.cascade.curve import Curve, cascade_curve, lossless
from edge_sdk.workbench.cascade.paired import Difference, paired_difference
from edge_sdk.workbench.data import open_source
from edge_sdk.workbench.labelled import Split
from edge_sdk.workbench.pixels import load_pixels
from edge_sdk.workbench.specialize.restrict_head import restrict
from edge_sdk.workbench.tensors import to_tensor
from edge_sdk.workbench.train import Progress, train
from edge_sdk.workbench.train_config import TrainConfig

SLIM = {"avg_down": False, "stem_width": 16, "channels": [24, 48, 96, 160]}
SIDE = 64
DROPS = (0.0, 0.005, 0.01)
DRAWS = 1000
BATCH = 50
Said = dict[str, NDArray[Any]]


def settings(data: Path, out: Path, model: str, **changes: Any) -> TrainConfig:
    """What all trainings have in common."""
    common = {"width": SIDE, "height": SIDE, "augment": 0.6, "precision": "bf16", "version": "1", "threads": 1}
    return TrainConfig(data=str(data), out=out, model=model, **{**common, **changes})


def train_all(data: Path, out: Path, weights: list[float], console: Console) -> dict[str, Path]:
    """The little network, and what becomes of it with each loss; those that are there are not trained again."""
    start = out / "little.safetensors"
    wanted = {"start": settings(data, start, "resnet10t", model_options=SLIM, epochs=10, learning_rate=3e-3)}
    stage: dict[str, Any] = {"epochs": 2, "learning_rate": 5e-4}
    wanted["plain"] = settings(data, out / "little-plain-0.safetensors", str(start), **stage)
    for weight in weights:
        path = out / f"little-deferral-{weight:g}-0.safetensors"
        wanted[f"deferral, weight {weight:g}"] = settings(data, path, str(start), deferral=weight, **stage)
    for name, config in wanted.items():

        def tell(now: Progress, name: str = name) -> None:
            if now.accuracy is not None:
                console.print(f"{name}: epoch {now.epoch}, validation {now.accuracy:.1%}")

        if not config.out.exists():
            train(config, cache=out / "pixels", on_progress=tell)
    return {name: config.out for name, config in wanted.items()}


def answers(path: Path, data: Path, out: Path, members: list[tuple[int, ...]] | None = None) -> dict[Split, Said]:
    """Logits and truths on calibration and test photos, kept in files; `members`: the classes that stay."""
    import torch

    found = {}
    for split in (Split.CALIBRATION, Split.TEST):
        file = out / "answers" / f"{path.stem}-{split}.npz"
        if not file.exists():
            module, info = load_checkpoint(path)
            if members is not None:
                module = restrict(module, members).eval()
            pixels = load_pixels(open_source(str(data), split), info.input, folder=out / "pixels")
            rows = []
            with torch.inference_mode():
                for images, _ in pixels.batches(BATCH):
                    rows.append(module(to_tensor(images, info.input)).numpy())
            file.parent.mkdir(parents=True, exist_ok=True)
            np.savez(file, logits=np.concatenate(rows), truths=pixels.truths, macs=info.macs)
        found[split] = dict(np.load(file))
    return found


def imagenet_members(data: Path) -> list[tuple[int, ...]]:
    """The index among ImageNet's 1,000 classes of each folder, from the synset in its files' names."""
    info = import_timm().data.ImageNetInfo()
    order = {info.index_to_label_name(index): index for index in range(info.num_classes())}
    folders = sorted(folder for folder in data.iterdir() if folder.is_dir())
    return [(order[next(iter(sorted(folder.iterdir()))).name.split("_")[0]],) for folder in folders]


class Cascade:
    """A little network before a big one: the curve on both splits."""

    def __init__(self, little: dict[Split, Said], big: dict[Split, Said]) -> None:
        here = little[Split.CALIBRATION]
        temperature = fit_temperature(here["logits"], here["truths"])
        self.confidence, self.right, self.curves, self.big = {}, {}, {}, {}
        self.macs: dict[str, Any] = {"little_macs": float(here["macs"]), "big_macs": float(big[Split.TEST]["macs"])}
        for split, said in little.items():
            self.confidence[split] = softmax(said["logits"], temperature).max(1).astype(np.float64)
            self.right[split] = said["logits"].argmax(1) == said["truths"]
            self.big[split] = big[split]["logits"].argmax(1) == big[split]["truths"]
            self.curves[split] = self.curve(split, slice(None))

    def curve(self, split: Split, some: Any) -> Curve:
        """The curve on some of a split's photos."""
        parts = (self.confidence[split][some], self.right[split][some], self.big[split][some])
        return cascade_curve(*parts, **self.macs)

    def judged(self, drop: float) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Test photos that exit, and that the cascade names rightly, at the threshold of the calibration photos."""
        threshold = lossless(self.curves[Split.CALIBRATION], drop=drop).threshold
        exits = self.confidence[Split.TEST] >= threshold
        return exits, np.where(exits, self.right[Split.TEST], self.big[Split.TEST])


def area_gap(one: Cascade, other: Cascade) -> tuple[float, float, float]:
    """Points of mean accuracy over all exit ratios on test photos, with the interval of the paired bootstrap."""
    rng, count = np.random.default_rng(0), len(one.right[Split.TEST])

    def gap(some: Any) -> float:
        return 100 * (one.curve(Split.TEST, some).area() - other.curve(Split.TEST, some).area())

    drawn = [gap(rng.integers(count, size=count)) for _ in range(DRAWS)]
    low, high = np.quantile(drawn, (0.025, 0.975))
    return gap(slice(None)), float(low), float(high)


def table_of(cascades: dict[str, Cascade], big_name: str) -> Table:
    """A row for each loss: exits and loss at each drop, against those of plain training."""
    plain = cascades["plain"]
    big = plain.big[Split.TEST]
    title = f"{big_name} ({big.mean():.1%}, {plain.macs['big_macs'] / 1e6:.0f} MMAC), {len(big)} test photos"
    table = Table(title=title, title_justify="left")
    for column in ("loss", "alone", "against plain", *(f"exits / lost, {100 * drop:g} points" for drop in DROPS)):
        table.add_column(column)
    for drop in DROPS:
        table.add_column(f"exits against plain, {100 * drop:g}")
    table.add_column("mean accuracy over all exit ratios, points against plain")
    for name, one in cascades.items():
        right = one.right[Split.TEST]
        cells, gaps = [], []
        for drop in DROPS:
            exits, final = one.judged(drop)
            lost = paired_difference(big, final)
            cells.append(f"{exits.mean():.1%} / {_interval(lost)}")
            gaps.append(_interval(paired_difference(exits, plain.judged(drop)[0])))
        value, low, high = area_gap(one, plain)
        against = _interval(paired_difference(right, plain.right[Split.TEST]))
        table.add_row(name, f"{right.mean():.1%}", against, *cells, *gaps, f"{value:+.2f} ({low:+.2f} to {high:+.2f})")
    return table


def _interval(found: Difference) -> str:
    return f"{100 * found.value:+.1f} ({100 * found.low:+.1f} to {100 * found.high:+.1f})"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="folder of class folders")
    parser.add_argument("--out", default="deferral", help="folder of checkpoints, prepared pictures and answers")
    parser.add_argument("--big", action="append", required=True, help="checkpoint with ImageNet's classes, or the 40")
    parser.add_argument("--weights", type=float, nargs="+", default=[0.2, 0.5, 0.8], help="of Gatekeeper's loss")
    options = parser.parse_args()
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    console = Console(width=230)
    data = class_folders(options)
    littles = {name: answers(path, data, out) for name, path in train_all(data, out, options.weights, console).items()}
    for path in map(Path, options.big):
        _, info = load_checkpoint(path)
        members = imagenet_members(data) if len(info.labels) == 1000 else None
        big = answers(path, data, out, members)
        console.print(table_of({name: Cascade(said, big) for name, said in littles.items()}, path.stem))


if __name__ == "__main__":
    main()
