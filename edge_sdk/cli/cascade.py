"""`edge-sdk cascade`: thresholds for a chain of models, from their records."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_sdk.cli.options import OLD_FILE
from edge_sdk.terminal.command import need

if TYPE_CHECKING:
    from edge_sdk.workbench.cascade.chain import Stage

_JUDGE = "Records of the same models on other pictures, in the same order, to evaluate the thresholds on."


@click.command()
@click.argument("files", nargs=-1, required=True, type=OLD_FILE)
@click.option("--judge", multiple=True, type=OLD_FILE, help=_JUDGE)
def cascade(files: tuple[Path, ...], judge: tuple[Path, ...]) -> None:
    """Find thresholds for models of growing size from their records FILES: little, (middle ...), big.

    For two models: the lossless threshold, and those that lose half a point and a point. For more models the thresholds
    are found jointly.
    """
    if len(files) < 2 or len(judge) not in (0, len(files)):
        raise click.UsageError("expected records of two or more models, and as many for --judge or none")
    need("scipy")
    from edge_sdk.terminal.tables import Rows
    from edge_sdk.terminal.text import open_console, say
    from edge_sdk.workbench.cascade.chain import UNUSED, evaluate
    from edge_sdk.workbench.cascade.cheapest_chain import cheapest_chain

    stages, temperatures = _stages(files, None)
    elsewhere = _stages(judge, temperatures)[0] if judge else None
    columns = ("may lose", "thresholds", "leave at each", "accuracy", "MACs")
    table = Rows(" -> ".join(stage.name for stage in stages), columns)
    other = Rows("elsewhere", ("may lose", "lost", "accuracy", "MACs"))
    whole = stages[-1].macs
    for drop in (0.0, 0.005, 0.01):
        found = cheapest_chain(stages, drop=drop)
        named = ["unused" if value == UNUSED else f"{value:.4f}" for value in found.thresholds]
        allowed = f"{100 * drop:g} points"
        shares = ", ".join(f"{share:.1%}" for share in found.shares)
        table.add(allowed, ", ".join(named), shares, f"{found.accuracy:.1%}", f"{found.macs / whole:.1%}")
        if elsewhere is not None:
            there = evaluate(elsewhere, found.thresholds)
            lost = 100 * (float(elsewhere[-1].right.mean()) - there.accuracy)
            other.add(allowed, f"{lost:+.2f} points", f"{there.accuracy:.1%}", f"{there.macs / whole:.1%}")
    console = open_console()
    console.print(table)
    if elsewhere is not None:
        console.print(other)
    big = stages[-1]
    say(console, f"MACs are shares of those of {big.name}, which is right on {big.right.mean():.1%}")


def _stages(files: Sequence[Path], temperatures: list[float] | None) -> tuple[list[Stage], list[float]]:
    """Records as the stages of a chain; temperatures are fitted where none are given."""
    import numpy as np

    from edge_sdk.workbench.cascade.chain import Stage
    from edge_sdk.workbench.cascade.confidence import fit_temperature
    from edge_sdk.workbench.records import check_same
    from edge_sdk.workbench.records_file import load_records

    kept = [load_records(path) for path in files]
    check_same(*kept)
    known = temperatures or [
        1.0 if one.probabilities is None else fit_temperature(one.logits, one.truths) for one in kept
    ]
    stages = []
    for one, temperature in zip(kept, known, strict=True):
        confidence = one.confidence if one.probabilities is None else one.calibrated(temperature).max(axis=1)
        stages.append(Stage(confidence.astype(np.float64), one.right, float(one.info.macs), name=one.info.model))
    return stages, known
