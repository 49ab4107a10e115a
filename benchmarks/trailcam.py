"""The shipped pair on streams of the simulated camera that neither model has seen: little, big and cascade.

    python benchmarks/trailcam.py [--bundle trailcam] [--big CHECKPOINT] [--little CHECKPOINT] [--data ADDRESS]

The little model runs in the device's runtime, the big one sees each picture after the device's JPEG encoding, and the
cascade uses the threshold that ships. With `--little`, the float checkpoint behind the bundle is measured too.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

import cloud_server
from edge_sdk.model.bundle import open_bundle
from edge_sdk.model.policy import ExitPolicy
from edge_sdk.types import Prediction
from edge_sdk.workbench.cascade.ensemble import ensemble
from edge_sdk.workbench.data import open_source
from edge_sdk.workbench.labelled import Split, read_all
from edge_sdk.workbench.recorder import run_subjects
from edge_sdk.workbench.subjects import open_subject

BIG = Path(cloud_server.__file__).parent / "models" / "trailcam" / "model.safetensors"
DATA = "simulated://trailcam?seed=900&frames=3000&streams=1"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", default="trailcam", help="a bundle's folder, or the name of one that ships")
    parser.add_argument("--big", default=str(BIG), help="the big model's checkpoint")
    parser.add_argument("--little", help="the float checkpoint behind the bundle")
    parser.add_argument("--data", default=DATA, help="address of the pictures; the test split of it is used")
    options = parser.parse_args()
    bundle = open_bundle(options.bundle)
    settings = bundle.policy
    subjects = [open_subject(str(bundle.path)), open_subject(options.big, upload=settings.upload)]
    if options.little:
        subjects.append(open_subject(options.little))
    little, big, *rest = run_subjects(subjects, read_all(open_source(options.data, Split.TEST)))
    chances = little.calibrated(settings.temperature)
    policy = ExitPolicy(settings)
    exits = np.array([policy.decide(Prediction(little.info.labels, row)).exits for row in chances])
    final = big.predicted
    if settings.ensemble:
        assert big.probabilities is not None  # `run_subjects` keeps them
        final = ensemble(chances, big.probabilities.astype(np.float32), settings.ensemble)
    cascade = np.where(exits, little.predicted, final) == big.truths

    table = Table(title=f"{bundle.manifest.name} {bundle.manifest.version} on {options.data}", title_justify="left")
    for column in ("light", "pictures", "little", "cascade", "big", "exit"):
        table.add_column(column, justify="left" if column == "light" else "right")
    assert little.groups is not None
    for name in ("all", *sorted(set(little.groups.tolist()))):
        chosen = np.ones(len(little), bool) if name == "all" else little.groups == name
        shares = (little.right, cascade, big.right, exits)
        table.add_row(name, str(int(chosen.sum())), *(f"{share[chosen].mean():.1%}" for share in shares))
    Console().print(table)

    spent = little.info.macs + (1 - exits.mean()) * big.info.macs
    rule = f"gain {settings.gate.exit_at_or_below:.4f} (gate)" if settings.gate else f"T = {settings.threshold:.4f}"
    table = Table(show_header=False)
    table.add_row("rule", f"{rule}, temperature {settings.temperature:.3f}, ensemble {settings.ensemble:.2f}")
    table.add_row("MACs little, big", f"{little.info.macs / 1e6:.1f} M, {big.info.macs / 1e6:.1f} M")
    table.add_row("MACs per frame against every frame to the big model", f"{spent / big.info.macs:.1%}")
    if not exits.all():
        assert big.upload_bytes is not None
        table.add_row("bytes per offloaded frame", f"{big.upload_bytes[~exits].mean():,.0f}")
    for one in rest:
        table.add_row("float little", f"{one.accuracy:.1%}")
    Console().print(table)


if __name__ == "__main__":
    main()
