"""Little-Big, companions, gate and exit sequences on real photos: 40 classes, trained from nothing, 64x64 pixels.

    python benchmarks/wildlife.py [--data FOLDER] [--out FOLDER] [--epochs 1.0] [--device cpu]

FOLDER is an unpacked `wildlife64/train` (CLASS/*.JPEG); without --data, `wildlife64-train.tar` of EDGE_SDK_DATA is
unpacked into --out. The photos are enlarged to 96x96 first, the size that the big models see: a camera's pictures are
larger than any model's input too. A hash of each file's name splits off a tenth each for validation, calibration and
test. Stopped at any moment, the same command goes on where it was. Everything is chosen on calibration photos and
judged on test photos.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
from data_archives import unpacked
from rich.console import Console
from rich.table import Table

from edge_sdk.cli.companion import companion_table
from edge_sdk.images.read import read_image
from edge_sdk.images.rendition import Upload
from edge_sdk.model.bundle import InputSpec
from edge_sdk.model.inputs import prepare
from edge_sdk.workbench.cascade.companion import advice
from edge_sdk.workbench.cascade.confidence import fit_temperature
from edge_sdk.workbench.cascade.curve import Curve, cascade_curve, lossless
from edge_sdk.workbench.cascade.ensemble import ensemble, fit_ensemble
from edge_sdk.workbench.cascade.gate import fit_gate, gains, held_out_gains
from edge_sdk.workbench.cascade.guarantee import guaranteed_threshold
from edge_sdk.workbench.cascade.score_comparison import compare_scores
from edge_sdk.workbench.companion_search import find_companions
from edge_sdk.workbench.data import open_source
from edge_sdk.workbench.draw import draw_companions
from edge_sdk.workbench.labelled import Split
from edge_sdk.workbench.records import Records
from edge_sdk.workbench.records_file import load_records
from edge_sdk.workbench.train import Progress, train
from edge_sdk.workbench.train_config import TrainConfig

SIDE = 96
UPLOAD = Upload(SIDE, 90)
SLIM = {"avg_down": False, "stem_width": 16}
TWICE = {"layers": [2, 2, 2, 2]}
# name: timm architecture, its options, side of the input, epochs, learning rate
LITTLES: dict[str, tuple[str, dict[str, Any], int, int, float]] = {
    "slim10-3M": ("resnet10t", {**SLIM, "stem_width": 8, "channels": [16, 24, 48, 96]}, 48, 12, 3e-3),
    "slim10-16M": ("resnet10t", {**SLIM, "channels": [24, 48, 96, 160]}, 64, 12, 3e-3),
    "slim10-23M": ("resnet10t", {**SLIM, "channels": [32, 64, 128, 256]}, 64, 12, 3e-3),
    "slim18-60M": ("resnet10t", {**SLIM, **TWICE, "channels": [40, 80, 160, 288]}, 64, 12, 3e-3),
}
BIGS: dict[str, tuple[str, dict[str, Any], int, int, float]] = {
    "resnet18": ("resnet18", {}, 96, 10, 2e-3),
    "regnety": ("regnety_008", {}, 96, 10, 2e-3),
}
DROPS = (0.0, 0.005, 0.01)


def enlarged(options: argparse.Namespace) -> Path:
    """The folder of class folders, its photos enlarged; each keeps its name."""
    folder = Path(options.out) / f"wildlife{SIDE}"
    if not folder.is_dir():
        partial = folder.with_name(f"{folder.name}.partial")
        spec = InputSpec(width=SIDE, height=SIDE, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0), resize="stretch")
        for photo in sorted(class_folders(options).rglob("*.JPEG")):
            large = prepare(read_image(photo).image, spec)
            target = partial / photo.parent.name / photo.name
            target.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(target), cv2.cvtColor(large, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 100])
        partial.rename(folder)
    return folder


def class_folders(options: argparse.Namespace) -> Path:
    """The folder of class folders."""
    return Path(options.data) if options.data else unpacked("wildlife64-train", Path(options.out), "wildlife64/train")


def train_all(data: Path, out: Path, options: argparse.Namespace, console: Console) -> None:
    """Train what is not there yet."""
    for name, (arch, extra, side, epochs, rate) in (LITTLES | BIGS).items():
        path = out / f"{name}.safetensors"
        if path.exists():
            continue
        config = TrainConfig(
            data=str(data),
            out=path,
            model=arch,
            model_options=extra,
            width=side,
            height=side,
            pictures=(SIDE, SIDE),
            epochs=max(1, round(epochs * options.epochs)),
            learning_rate=rate,
            augment=0.6,
            precision="bf16",
            device=options.device,
            version="1",
        )
        began = time.monotonic()

        def tell(now: Progress, name: str = name, began: float = began) -> None:
            if now.accuracy is not None:
                passed = time.monotonic() - began
                console.print(f"{name}: epoch {now.epoch}, validation {now.accuracy:.1%}, {passed:.0f} s")

        train(config, cache=out / "pixels", on_progress=tell)


def calibrated(calibration: Records, test: Records) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities on both splits at the temperature that fits the first."""
    temperature = fit_temperature(calibration.logits, calibration.truths)
    return calibration.calibrated(temperature), test.calibrated(temperature)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="folder of class folders")
    parser.add_argument("--out", default="wildlife", help="folder of checkpoints, bundles, records and pictures")
    parser.add_argument("--epochs", type=float, default=1.0, help="factor on the epochs")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    options = parser.parse_args()
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    console = Console(width=160)
    data = enlarged(options)
    train_all(data, out, options, console)
    checkpoints = {name: str(out / f"{name}.safetensors") for name in (LITTLES | BIGS)}
    for big in BIGS:
        for rule in ("paper", "robust"):
            found = find_companions(
                checkpoints[big], [checkpoints[name] for name in LITTLES], str(data), out, upload=UPLOAD, rule=rule
            )
            table = companion_table(found.ranked, f"Companions of {big}, {rule} rule")
            console.print(table)
            console.print(f"{big} alone: {found.big.accuracy:.1%}. {advice(found.ranked)}")
        draw_companions(out / f"companions-{big}.png", found.ranked, f"Companions of {big}")
    little_big(out, console)
    gates(out, console)
    sequences(data, out, console)


def pairs(out: Path) -> list[tuple[str, str, Records, Records, Records, Records]]:
    """Every pair with its records on calibration and test photos."""
    found = []
    for big in BIGS:
        for little in LITTLES:
            four = [
                load_records(out / split / f"{name}.npz")
                for split in ("calibration", "test")
                for name in (f"{little}-int8", big)
            ]
            found.append((big, little, *four))
    return found  # type: ignore[return-value]


def little_big(out: Path, console: Console) -> None:
    """MACs saved at no loss and at half a point and a point, plain and guaranteed."""
    table = Table(title="Little-Big: MACs saved / points lost on test photos", title_justify="left")
    names = ["big", "little"]
    for drop in DROPS:
        names += [f"plain, {100 * drop:g} points"] + ([f"guaranteed 95%, {100 * drop:g}"] if drop else [])
    names += ["guaranteed 95%, 2", "ensemble, 0 points"]
    for column in names:
        table.add_column(column, justify="left" if column in ("big", "little") else "right")
    for big_name, little_name, little, big, little_test, big_test in pairs(out):
        here, there = calibrated(little, little_test)
        macs: dict[str, Any] = {"little_macs": little.info.macs, "big_macs": big.info.macs}
        score = here.max(1).astype(np.float64)
        curve = cascade_curve(score, here.argmax(1) == little.truths, big.right, **macs)
        test = cascade_curve(there.max(1).astype(np.float64), little_test.right, big_test.right, **macs)
        row = []
        for drop in DROPS:
            row.append(_saved(test, lossless(curve, drop=drop).threshold))
            if drop:
                sure = guaranteed_threshold(score, little.right, big.right, eps=drop, delta=0.05)
                row.append(_saved(test, sure.threshold) if sure.holds else "none exits")
        sure = guaranteed_threshold(score, little.right, big.right, eps=0.02, delta=0.05)
        row.append(_saved(test, sure.threshold) if sure.holds else "none exits")
        row.append(_with_ensemble(here, there, (little, big), (little_test, big_test)))
        table.add_row(big_name, little_name, *row)
    console.print(table)


def _with_ensemble(
    here: np.ndarray, there: np.ndarray, calibration: tuple[Records, Records], test: tuple[Records, Records]
) -> str:
    """The plain lossless threshold where both models have a voice on offloaded photos."""
    little, big = calibration
    macs: dict[str, Any] = {"little_macs": little.info.macs, "big_macs": big.info.macs}
    assert big.probabilities is not None and test[1].probabilities is not None
    unsure = here.max(1) < np.median(here.max(1))
    weight, _ = fit_ensemble(here, big.probabilities.astype(np.float32), big.truths, offloaded=unsure)

    def curve(chances: np.ndarray, of: tuple[Records, Records]) -> Curve:
        assert of[1].probabilities is not None
        final = ensemble(chances, of[1].probabilities.astype(np.float32), weight) == of[1].truths
        right = chances.argmax(1) == of[0].truths
        return cascade_curve(chances.max(1).astype(np.float64), right, of[1].right, offloaded_right=final, **macs)

    return f"{_saved(curve(there, test), lossless(curve(here, calibration)).threshold)} (weight {weight:g})"


def _saved(curve: Curve, threshold: float) -> str:
    point = curve.at(threshold)
    return f"{1 - point.macs / curve.big_macs:.1%} / {100 * (curve.big_accuracy - point.accuracy):+.2f}"


def gates(out: Path, console: Console) -> None:
    """The learned gate and other scores against the maximum softmax."""
    table = Table(title="Scores against the maximum softmax: area, points", title_justify="left")
    for column in ("big", "little", "score", "cross-validated", "95%", "on test photos, lossless MACs"):
        table.add_column(column, justify="left" if column in ("big", "little", "score") else "right")
    for big_name, little_name, little, big, little_test, big_test in pairs(out):
        here, there = calibrated(little, little_test)
        macs: dict[str, Any] = {"little_macs": little.info.macs, "big_macs": big.info.macs}
        right, right_test = here.argmax(1) == little.truths, there.argmax(1) == little_test.truths
        compared = compare_scores(here, little.truths, big.right, logits=little.logits, **macs)
        gate = fit_gate(here, right, big.right)
        scores = {
            "max softmax": (here.max(1).astype(np.float64), there.max(1).astype(np.float64)),
            "learned gate": (-held_out_gains(here, right, big.right), -gains(gate, there)),
        }
        for one in compared:
            cost = ""
            if one.name in scores:
                mine, other = scores[one.name]
                threshold = lossless(cascade_curve(mine, right, big.right, **macs)).threshold
                point = cascade_curve(other, right_test, big_test.right, **macs).at(threshold)
                loss = 100 * (big_test.accuracy - point.accuracy)
                cost = f"{point.macs / big.info.macs:.1%} / {loss:+.2f}"
            spread = f"{100 * one.low:+.2f} .. {100 * one.high:+.2f}"
            name = f"{one.name}, better" if one.better else one.name
            table.add_row(big_name, little_name, name, f"{100 * one.difference:+.2f}", spread, cost)
    console.print(table)


def sequences(data: Path, out: Path, console: Console) -> None:
    """Exit sequences against a single exit, for each big model and its best companion."""
    from edge_sdk.model.little import LittleModel
    from edge_sdk.networks.checkpoint import load_checkpoint
    from edge_sdk.networks.sequence import SequenceModel, attach_exits
    from edge_sdk.networks.sequence_file import save_sequence
    from edge_sdk.networks.taps import find_taps
    from edge_sdk.workbench.sequence.search import find_exits, with_exits
    from edge_sdk.workbench.sequence.train import collect_features, fit_temperatures, train_exits

    table = Table(title="Exit sequence against a single exit, test photos", title_justify="left")
    for column in (
        "big",
        "little",
        "drop",
        "method",
        "big alone",
        "single: acc. / MACs",
        "sequence: acc. / MACs",
        "points at equal MACs, 95%",
        "used",
    ):
        table.add_column(column, justify="left" if column in ("big", "little", "method") else "right")
    for big_name in BIGS:
        for little_name in list(LITTLES)[:2]:
            module, info = load_checkpoint(out / f"{big_name}.safetensors")
            with LittleModel(out / "bundles" / little_name) as little:
                taps = find_taps(module, info.input.width, info.input.height)
                model = attach_exits(module, info, taps, little.labels)
                splits = (Split.TRAIN, Split.CALIBRATION, Split.TEST)
                train_part, calibration, test = (
                    collect_features(model, little, open_source(str(data), split), out / "features", upload=UPLOAD)
                    for split in splits
                )
                train_exits(model, train_part, state=out / f"{big_name}-{little_name}.state")
                temperatures = fit_temperatures(model, calibration)
                tempered = msgspec.structs.replace(model.info, temperatures=temperatures)
                model = SequenceModel(model.big, model.exits, tempered)
                for drop in (0.0, 0.01):
                    for method in ("one-pass", "circular", "same threshold"):
                        found = find_exits(model, calibration, test, little_macs=little.macs, drop=drop, method=method)
                        used = sum(value <= 1 for value in found.chosen.thresholds[1:])
                        gain = found.advantage
                        table.add_row(
                            big_name,
                            little_name,
                            f"{100 * drop:g}",
                            method,
                            f"{found.big_accuracy:.1%}",
                            f"{found.single.accuracy:.1%} / {found.single.macs / found.big_macs:.1%}",
                            f"{found.evaluated.accuracy:.1%} / {found.evaluated.macs / found.big_macs:.1%}",
                            f"{100 * gain.value:+.2f} ({100 * gain.low:+.2f} .. {100 * gain.high:+.2f})",
                            f"{used} of {len(found.chosen.thresholds) - 1}",
                        )
                save_sequence(out / f"{big_name}-{little_name}-sequence.safetensors", with_exits(model, found))
    console.print(table)


if __name__ == "__main__":
    main()
