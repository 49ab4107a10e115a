"""The shipped pair on streams of the simulated camera that neither model has seen: little, big and cascade.

    python benchmarks/trailcam.py [--bundle trailcam] [--big CHECKPOINT] [--little CHECKPOINT] [--data ADDRESS]

The little model runs in the device's runtime, the big one sees each picture after the device's JPEG encoding, and the
cascade uses the threshold that ships. With `--little`, the float checkpoint behind the bundle is measured too.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

import cloud_server
from edge_sdk.bundle import open_bundle
from edge_sdk.model import LittleModel, prepare
from edge_sdk.workbench.calibrate import Outcomes, judge, probabilities, run_both
from edge_sdk.workbench.checkpoint import load_checkpoint
from edge_sdk.workbench.data import LabelledImage, Split, open_source, read_all
from edge_sdk.workbench.train import to_tensor

BIG = Path(cloud_server.__file__).parent / "models" / "trailcam" / "model.safetensors"
DATA = "simulated://trailcam?seed=900&frames=3000&streams=1"


def part(outcomes: Outcomes, chosen: np.ndarray) -> Outcomes:
    """The outcomes of the chosen pictures alone."""
    return Outcomes(
        outcomes.labels,
        outcomes.truths[chosen],
        outcomes.little[chosen],
        outcomes.big[chosen],
        outcomes.upload_bytes[chosen],
        tuple(group for group, keep in zip(outcomes.groups, chosen, strict=True) if keep),
    )


def float_accuracy(checkpoint: str, pictures: list[LabelledImage]) -> float:
    """Share of the pictures that the float network names rightly."""
    module, info = load_checkpoint(checkpoint)
    right = 0
    with torch.inference_mode():
        for picture in pictures:
            pixels = prepare(picture.image, info.input)[np.newaxis]
            right += info.labels[int(module(to_tensor(pixels, info.input)).argmax())] == picture.label
    return right / len(pictures)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", default="trailcam", help="a bundle's folder, or the name of one that ships")
    parser.add_argument("--big", default=str(BIG), help="the big model's checkpoint")
    parser.add_argument("--little", help="the float checkpoint behind the bundle")
    parser.add_argument("--data", default=DATA, help="address of the pictures; the test split of it is used")
    options = parser.parse_args()
    bundle = open_bundle(options.bundle)
    policy = bundle.policy
    big, big_info = load_checkpoint(options.big)
    source = open_source(options.data, Split.TEST)
    with LittleModel(bundle) as little:
        outcomes = run_both(little, big, big_info, read_all(source), upload=policy.upload)
    exits = probabilities(outcomes.little, policy.temperature).max(axis=1) >= policy.threshold

    table = Table(title=f"{bundle.manifest.name} {bundle.manifest.version} on {options.data}", title_justify="left")
    for column in ("light", "pictures", "little", "cascade", "big", "exit"):
        table.add_column(column, justify="left" if column == "light" else "right")
    groups = np.array(outcomes.groups)
    for name in ("all", *sorted(set(outcomes.groups) - {""})):
        chosen = np.ones(len(groups), bool) if name == "all" else groups == name
        found = judge(part(outcomes, chosen), policy.temperature, policy.threshold)
        accuracies = (found.little_accuracy, found.cascade_accuracy, found.big_accuracy, found.exit_ratio)
        table.add_row(name, str(found.pictures), *(f"{value:.1%}" for value in accuracies))
    Console().print(table)

    spent = bundle.manifest.macs + (1 - exits.mean()) * big_info.macs
    table = Table(show_header=False)
    table.add_row("threshold, temperature", f"{policy.threshold:.4f}, {policy.temperature:.3f}")
    table.add_row("MACs little, big", f"{bundle.manifest.macs / 1e6:.1f} M, {big_info.macs / 1e6:.1f} M")
    table.add_row("MACs per frame against every frame to the big model", f"{spent / big_info.macs:.1%}")
    if not exits.all():
        table.add_row("bytes per offloaded frame", f"{outcomes.upload_bytes[~exits].mean():,.0f}")
    if options.little:
        table.add_row("float little", f"{float_accuracy(options.little, list(read_all(source))):.1%}")
    Console().print(table)


if __name__ == "__main__":
    main()
