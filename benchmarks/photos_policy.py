"""Makes the pair of `edge-sdk photos` on labelled photos, measures it, and writes the thresholds that ship.

    python benchmarks/photos_policy.py --data PHOTOS --work FOLDER --out edge_sdk/workbench/photos_policy.json

PHOTOS has one folder for each class of ImageNet. int8 is calibrated on 128 photos, and each threshold on all labelled
ones; the table's figures are of thresholds that were chosen on one half and judged on the other, both ways.
"""

from __future__ import annotations

import dataclasses
import sys
from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec
import numpy as np

from edge_sdk.model.drift import confidence_histogram
from edge_sdk.model.policy import Policy
from edge_sdk.networks.label_groups import GROUPS, label_group
from edge_sdk.networks.label_map import make_label_map
from edge_sdk.terminal.progress import progress_bars, shown_by
from edge_sdk.terminal.text import open_console, say
from edge_sdk.workbench import photos
from edge_sdk.workbench.cascade.confidence import fit_temperature, softmax
from edge_sdk.workbench.data import open_source
from edge_sdk.workbench.labelled import Split, read_all
from edge_sdk.workbench.photo_classes import labels_of, relabelled
from edge_sdk.workbench.records import Records, from_logits
from edge_sdk.workbench.records_file import load_records, save_records
from edge_sdk.workbench.write_calibration import run_pair


@click.command()
@click.option("--data", required=True)
@click.option("--work", required=True, type=click.Path(path_type=Path), help="Folder of the models and their records.")
@click.option("--out", required=True, type=click.Path(path_type=Path))
def main(data: str, work: Path, out: Path) -> None:
    """Make the pair, run it, write the policies."""
    console = open_console()
    labels = labels_of(open_source(data, Split.ALL).labels, {})
    files = work / "little.npz", work / "big.npz"
    if not all(file.is_file() for file in files):
        with progress_bars(console) as bars:
            show = shown_by(bars)
            big = photos.write_big(work / photos.BIG)
            if not (work / photos.BUNDLE / "manifest.json").is_file():
                report = photos.write_little(data, work / photos.BUNDLE, {}, labels, 128, 300, print, show)
                say(
                    console,
                    f"int8 names the float network's class on {report.agreement:.1%} of {report.measured} photos",
                )
                say(console, f"accuracy: float {report.float_accuracy}, int8 {report.bundle_accuracy}")
                say(console, f"{report.model_bytes / 1e6:.2f} MB, {report.float_layers} layers in float32")
            pictures = (one for one in relabelled(read_all(open_source(data, Split.ALL)), labels) if one.label)
            pair = run_pair(
                work / photos.BUNDLE,
                str(big),
                pictures,
                upload=photos.UPLOAD,
                on_done=lambda n: show("both models", n, 0),
            )
            for file, records in zip(files, pair, strict=True):
                save_records(file, records)
    little, big_records = (load_records(file) for file in files)
    shipped = {}
    for group in ("", *GROUPS):
        pair = in_groups(little, group), in_groups(big_records, group)
        temperature, threshold = choose(*pair)
        exits, cascade = halves(*pair)
        facts: dict[str, float | int | str] = {
            "rule": "the highest threshold within one photo of the most accurate",
            "pictures": len(little),
            "exit_ratio": round(exits, 4),
            "little_accuracy": round(pair[0].accuracy, 4),
            "cascade_accuracy": round(cascade, 4),
            "big_accuracy": round(pair[1].accuracy, 4),
        }
        say(console, f"{group or 'all classes'}: T {temperature:.3f}, threshold {threshold:.3f}, {facts}")
        shipped[group] = photos.ShippedPolicy(
            provenance=(
                f"calibrated on {len(little)} photos under CC BY 2.0 in ImageNet's classes, which flatter "
                f"these models, {datetime.now(UTC).date()}; there the device answers {exits:.0%}, and little, both and "
                "big are right "
                f"on {pair[0].accuracy:.1%}, {cascade:.1%} and {pair[1].accuracy:.1%}"
            ),
            policy=Policy(
                threshold=round(threshold, 4),
                temperature=round(temperature, 4),
                confidences=confidence_histogram(pair[0].calibrated(temperature).max(axis=1)),
                upload=photos.UPLOAD,
                big_macs=big_records.info.macs,
                calibration=facts,
            ),
        )
    out.write_bytes(msgspec.json.format(msgspec.json.encode(shipped), indent=1) + b"\n")
    say(console, f"wrote {out}, {out.stat().st_size} bytes")


def choose(little: Records, big: Records) -> tuple[float, float]:
    """Temperature, and the highest threshold at which the cascade is within one photo of its most accurate."""
    temperature = fit_temperature(little.logits, little.truths)
    chances = little.calibrated(temperature)
    sure, right = chances.max(axis=1), chances.argmax(axis=1) == little.truths
    steps = np.linspace(0, 0.99, 100)
    counts = np.array([np.where(sure >= step, right, big.right).sum() for step in steps])
    return temperature, float(steps[np.flatnonzero(counts >= counts.max() - 1)[-1]])


def in_groups(records: Records, group: str) -> Records:
    """The records with ImageNet's classes led to groups."""
    if not group:
        return records
    found = make_label_map(records.info.labels, label_group(group))
    chances = np.stack([found.apply(row) for row in softmax(records.logits)])
    info = msgspec.structs.replace(records.info, labels=found.labels)
    logits = np.log(np.maximum(chances, 1e-8))
    truths = found.index[records.truths].tolist()
    made = from_logits(info, records.ids.tolist(), truths, logits)
    return dataclasses.replace(made, upload_bytes=records.upload_bytes, sources=records.sources)


def halves(little: Records, big: Records) -> tuple[float, float]:
    """Exit ratio and accuracy with the threshold of one half on the other, mean of both ways."""
    order = np.random.default_rng(0).permutation(len(little))
    parts = order[: len(order) // 2], order[len(order) // 2 :]
    told = []
    for mine, others in (parts, parts[::-1]):
        temperature, threshold = choose(little.part(mine), big.part(mine))
        chances = little.part(others).calibrated(temperature)
        exits = chances.max(axis=1) >= threshold
        right = np.where(exits, chances.argmax(axis=1) == little.truths[others], big.part(others).right)
        told.append((float(exits.mean()), float(right.mean())))
    return float(np.mean([one[0] for one in told])), float(np.mean([one[1] for one in told]))


if __name__ == "__main__":
    sys.exit(main())
