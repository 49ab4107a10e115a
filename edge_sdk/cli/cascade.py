"""`edge-sdk cascade`: thresholds for a chain of models, from their records."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_sdk.cli.options import OLD_FILE, check_names, parse_macs
from edge_sdk.terminal.command import need

if TYPE_CHECKING:
    from edge_sdk.workbench.cascade.chain import Stage
    from edge_sdk.workbench.records import Records

_CSV = (
    "Another program's records of a model that is named as the file, after FILES: columns id, predicted, probability, "
    "and truth in one of the files; may be repeated."
)
_MACS = "Multiply-accumulates per picture of a model, such as little=0.4G; may be repeated."
_JUDGE = "Records (or CSVs) of the same models on other pictures, in the same order, to evaluate the thresholds on."


@click.command()
@click.argument("files", nargs=-1, type=OLD_FILE)
@click.option("--csv", "csvs", multiple=True, type=OLD_FILE, help=_CSV)
@click.option("--macs", multiple=True, callback=parse_macs, metavar="NAME=MACS", help=_MACS)
@click.option("--judge", multiple=True, type=OLD_FILE, help=_JUDGE)
def cascade(files: tuple[Path, ...], csvs: tuple[Path, ...], macs: dict[str, int], judge: tuple[Path, ...]) -> None:
    """Find thresholds for models of growing size from their records FILES: little, (middle ...), big.

    For two models: the lossless threshold, and those that lose half a point and a point. For more models the thresholds
    are found jointly, which takes the MACs of each.
    """
    models = len(files) + len(csvs)
    if models < 2 or len(judge) not in (0, models):
        raise click.UsageError("expected records of two or more models, and as many for --judge or none")
    need("scipy")
    from edge_sdk.terminal.tables import Rows
    from edge_sdk.terminal.text import open_console, say
    from edge_sdk.workbench.cascade.chain import UNUSED, each_frame, evaluate
    from edge_sdk.workbench.cascade.cheapest_chain import cheapest_chain
    from edge_sdk.workbench.cascade.paired import paired_difference

    kept = _records([*files, *csvs], macs)
    unknown = [one.info.model for one in kept if not one.info.macs]
    if unknown and models > 2:
        raise click.UsageError(
            f"thresholds of three or more models are weighed by their MACs; those of {', '.join(unknown)} are unknown. "
            f"Give them, such as --macs {unknown[0]}=0.4G"
        )
    stages, temperatures = _stages(kept, None)
    elsewhere = _stages(_records(judge, macs), temperatures)[0] if judge else None
    columns = ("may lose", "thresholds", "leave at each", "accuracy", "against the last", "MACs")
    table = Rows(" -> ".join(stage.name for stage in stages), columns)
    other = Rows("elsewhere", ("may lose", "accuracy", "against the last", "MACs"))

    def cost(spent: float) -> str:
        return "unknown" if unknown else f"{spent / stages[-1].macs:.1%}"

    def against(these: Sequence[Stage], thresholds: Sequence[float]) -> str:
        return paired_difference(each_frame(these, thresholds)[0], these[-1].right).points()

    for drop in (0.0, 0.005, 0.01):
        found = cheapest_chain(stages, drop=drop)
        named = ["unused" if value == UNUSED else f"{value:.4f}" for value in found.thresholds]
        allowed = f"{100 * drop:g} points"
        shares = ", ".join(f"{share:.1%}" for share in found.shares)
        gap = against(stages, found.thresholds)
        table.add(allowed, ", ".join(named), shares, f"{found.accuracy:.1%}", gap, cost(found.macs))
        if elsewhere is not None:
            there = evaluate(elsewhere, found.thresholds)
            gap = against(elsewhere, found.thresholds)
            other.add(allowed, f"{there.accuracy:.1%}", gap, cost(there.macs))
    console = open_console()
    console.print(table)
    if elsewhere is not None:
        console.print(other)
    big = stages[-1]
    say(console, f"MACs are shares of those of {big.name}, which is right on {big.right.mean():.1%}")
    if unknown:
        say(console, f"the MACs of {', '.join(unknown)} are unknown; give them as --macs {unknown[0]}=0.4G")


def _records(files: Sequence[Path], macs: dict[str, int]) -> list[Records]:
    """Records of one set of pictures: `.npz` files and CSVs, with the MACs that were given."""
    from dataclasses import replace

    import msgspec

    from edge_sdk.workbench.records import check_same
    from edge_sdk.workbench.records_csv import read_csvs
    from edge_sdk.workbench.records_file import load_records

    tables = [path for path in files if path.suffix.lower() == ".csv"]
    others = {path: load_records(path) for path in files if path not in tables}
    known = next(iter(others.values()), None)
    imported = dict(zip(tables, read_csvs(tables, truth=known), strict=True))
    kept = [(others | imported)[path] for path in files]
    names = [one.info.model for one in kept]
    check_names(macs, names)
    check_same(*kept)
    return [
        replace(one, info=msgspec.structs.replace(one.info, macs=macs[one.info.model]))
        if one.info.model in macs
        else one
        for one in kept
    ]


def _stages(kept: Sequence[Records], temperatures: list[float] | None) -> tuple[list[Stage], list[float]]:
    """Records as the stages of a chain; temperatures are fitted where none are given."""
    import numpy as np

    from edge_sdk.workbench.cascade.chain import Stage

    known = temperatures or [1.0 if one.probabilities is None else one.fit_temperature() for one in kept]
    # Of two models the MACs decide nothing; where they are unknown, the big one stands for all the cost.
    stand_in = not all(one.info.macs for one in kept)
    stages = []
    for place, (one, temperature) in enumerate(zip(kept, known, strict=True)):
        confidence = one.confidence if one.probabilities is None else one.calibrated(temperature).max(axis=1)
        cost = float(place == len(kept) - 1) if stand_in else float(one.info.macs)
        stages.append(Stage(confidence.astype(np.float64), one.right, cost, name=one.info.model))
    return stages, known
