"""`edge-sdk sequence`: early exits along a big model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_sdk.cli.given import refuse_pretrained
from edge_sdk.cli.options import (
    big_option,
    cache_option,
    data_option,
    out_option,
    pretrained_option,
    seed_option,
    served_big,
    threads_option,
)
from edge_sdk.cli.twins import tell_twins
from edge_sdk.terminal.command import need, when_stopped

if TYPE_CHECKING:
    from edge_sdk.terminal.tables import Rows
    from edge_sdk.workbench.sequence.make import Made

METHODS = ("one-pass", "circular", "same threshold")
_OPEN = click.FloatRange(0, 1, min_open=True, max_open=True)
_CONSERVATIVE = "Replace each accuracy by this quantile of its Beta distribution."


@click.command()
@big_option()
@pretrained_option()
@click.option("--bundle", required=True, help="Bundle of the little model, calibrated: a folder or a shipped name.")
@data_option(note="To train, search and evaluate on.")
@out_option(".safetensors file to write.")
@click.option("--exits", default=4, show_default=True, type=click.IntRange(1, 12), help="Exits to attach.")
@click.option("--dim", default=64, show_default=True, type=click.IntRange(8), help="Width of the tokens.")
@click.option("--epochs", default=40, show_default=True, type=click.IntRange(1), help="Passes over the features.")
@click.option("--drop", default=0.0, show_default=True, help="Tolerated loss of accuracy against the big model.")
@click.option("--method", default="circular", show_default=True, type=click.Choice(METHODS), help="Of the search.")
@click.option("--conservative", type=_OPEN, metavar="QUANTILE", help=_CONSERVATIVE)
@seed_option()
@threads_option()
@cache_option("Folder of features.  [default: OUT-features, beside OUT]")
def sequence(
    big: str, pretrained: bool, bundle: str, data: str, out: Path, epochs: int, threads: int | None, **settings: Any
) -> None:
    """Attach early exits to a big model that use the little model's answer; `cloud-server --model OUT` serves it.

    Trained on the data's training split, searched on its calibration split, evaluated on its test split. If stopped,
    the same command continues.
    """
    refuse_pretrained([big], pretrained)
    need("torch", "timm", "scipy", "safetensors")
    from edge_sdk.terminal.progress import loading, progress_bars, shown_by
    from edge_sdk.terminal.text import open_console, say

    console = open_console()
    with loading(console):
        from edge_sdk.workbench.sequence.make import make_sequence
        from edge_sdk.workbench.spent import Account
        from edge_sdk.workbench.threads import take_threads
        from edge_sdk.workbench.twins import places_of

        taken = take_threads(threads)
    say(console, taken.sentence())
    at = ["no features yet"]
    stopped = when_stopped(lambda: f"{at[0]}; the same command continues")
    file = out.with_name(f"{out.name}.spent.json")
    with stopped, progress_bars(console) as bars, Account(file=file) as account:
        show = shown_by(bars)

        def on_progress(what: str, done: int, of: int) -> None:
            at[:] = [f"{what}: {done} of {of} done"]
            account.note()
            show(what, done, of)

        tell_twins(console, places_of(data), show)
        made = make_sequence(
            served_big(big)[0],
            bundle,
            data,
            out,
            pretrained=pretrained,
            epochs=epochs,
            on_progress=on_progress,
            **settings,
        )
        spent = account.now()
    console.print(exits_table(made))
    console.print(figures_table(made))
    gain = made.found.advantage
    say(
        console,
        f"at equal MACs {100 * gain.value:+.2f} points over little and big "
        f"(95%: {100 * gain.low:+.2f} to {100 * gain.high:+.2f}); against the big model alone "
        f"{made.found.against_big.points()}",
    )
    say(console, spent.sentence())
    say(console, f"wrote {out}; serve it with: cloud-server --model {out}")


def exits_table(made: Made) -> Rows:
    """Threshold and share of frames of each exit."""
    from edge_sdk.terminal.tables import Rows
    from edge_sdk.workbench.cascade.chain import UNUSED

    table = Rows(f"Exit sequence on {made.arch}, {made.test_frames} test frames", ("exit", "leave at", "frames"))
    evaluated = made.found.evaluated
    for name, threshold, share in zip(made.exits, [*evaluated.thresholds, 0.0], evaluated.shares, strict=True):
        table.add(name, "unused" if threshold == UNUSED else f"{threshold:.3f}", f"{share:.1%}")
    return table


def figures_table(made: Made) -> Rows:
    """Accuracy and cost of the big model alone, of little and big, and of the sequence."""
    from edge_sdk.terminal.tables import Rows

    found = made.found
    table = Rows("", ("", "accuracy", "MACs a frame", "of the big model"))
    for name, accuracy, macs in (
        ("big model alone", found.big_accuracy, found.big_macs),
        ("little and big", found.single.accuracy, found.single.macs),
        ("exit sequence", found.evaluated.accuracy, found.evaluated.macs),
    ):
        table.add(name, f"{accuracy:.1%}", f"{macs / 1e6:.1f} M", f"{macs / found.big_macs:.1%}")
    return table
