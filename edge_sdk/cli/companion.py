"""`edge-sdk companion`: find the little model for a big one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_sdk.cli.given import given, refuse_pretrained
from edge_sdk.cli.options import (
    big_option,
    data_option,
    label_map_option,
    out_option,
    pretrained_option,
    served_big,
    threads_option,
    upload_option,
)
from edge_sdk.cli.twins import tell_twins
from edge_sdk.terminal.command import need, when_stopped

if TYPE_CHECKING:
    from edge_sdk.terminal.tables import Rows
    from edge_sdk.workbench.cascade.companion import Ranked

_CANDIDATES = "Bundle, checkpoint or timm name to try; may be repeated."
_PRECISION = "Number format of the candidates: exported to int8, or as they are, in torch."
_FEW = 100


@click.command()
@big_option(also=", a bundle")
@label_map_option()
@click.option("--candidates", required=True, multiple=True, metavar="MODEL", help=_CANDIDATES)
@data_option(note="To choose and evaluate on.")
@out_option("Folder of bundles, records and picture.", folder=True)
@pretrained_option()
@click.option("--precision", default="int8", show_default=True, type=click.Choice(["int8", "fp32"]), help=_PRECISION)
@click.option("--float", "as_float", is_flag=True, hidden=True, help="As --precision fp32.")
@click.option(
    "--rule",
    default="robust",
    show_default=True,
    type=click.Choice(["paper", "robust"]),
    help="How the threshold is chosen.",
)
@click.option("--top", default=5, show_default=True, type=click.IntRange(1), help="Evaluate at most this many.")
@upload_option("Run the big model on pictures as this encoding leaves them.")
@click.option("--watts", default=3.0, show_default=True, help="Power of the device while it computes.")
@click.option("--joules-per-byte", default=5e-6, show_default=True, help="Energy of sending.")
@threads_option(" of networks in torch; of bundles too where it is given, else they run as on the device, with one")
def companion(
    big: str,
    label_map: dict[str, str],
    candidates: tuple[str, ...],
    data: str,
    out: Path,
    pretrained: bool,
    precision: str,
    as_float: bool,
    rule: str,
    top: int,
    upload: Any,
    watts: float,
    joules_per_byte: float,
    threads: int | None,
) -> None:
    """Find the little model that saves a big model most (TinySaver).

    Candidates are exported to int8 and measured in the device's runtime; chosen on the data's calibration split,
    evaluated on its test split. If stopped, the same command continues.
    """
    refuse_pretrained([big, *candidates], pretrained)
    if as_float and precision == "int8" and "--precision" in given():
        raise click.UsageError("expected --float or --precision int8, not both: candidates run in one of them")
    need("torch", "timm", "scipy", "executorch", "matplotlib")
    from edge_sdk.terminal.progress import Steps, loading, progress_bars, shown_by
    from edge_sdk.terminal.text import open_console, say

    console = open_console()
    with loading(console):
        from edge_sdk.workbench.cascade.companion import advice
        from edge_sdk.workbench.companion_search import Power, find_companions
        from edge_sdk.workbench.draw import draw_companions
        from edge_sdk.workbench.spent import Account
        from edge_sdk.workbench.threads import take_threads
        from edge_sdk.workbench.twins import places_of

        taken = take_threads(threads)
    say(console, taken.sentence())
    steps = Steps(console, "reading the models")
    stopped = when_stopped(lambda: f"while {steps.now}; the same command continues")
    with stopped, progress_bars(console) as bars, Account(file=out / ".spent.json") as account:
        show = shown_by(bars)

        def on_step(text: str) -> None:
            account.note()
            steps(text)
            show(text, 0, 0)

        def on_done(done: int, of: int) -> None:
            account.note()
            show(steps.now, done, of)

        show(steps.now, 0, 0)
        tell_twins(console, places_of(data), show)
        found = find_companions(
            served_big(big)[0],
            candidates,
            data,
            out,
            pretrained=pretrained,
            as_float=as_float or precision == "fp32",
            upload=upload,
            power=Power(watts, joules_per_byte),
            rule=rule,
            top=top,
            threads=threads or 1,
            label_map=label_map,
            on_step=on_step,
            on_done=on_done,
            on_progress=show,
        )
        spent = account.now()
    console.print(companion_table(found.ranked, f"Companions of {found.big.info.model} ({rule} rule)"))
    say(console, f"big model alone: {found.big.accuracy:.1%}; all columns but delta-C and T are of the test split")
    if len(found.big) < _FEW:
        say(console, f"{len(found.big)} test pictures are few: a hundred or more tell the candidates apart")
    for name, reason in found.left_out.items():
        say(console, f"left out: {name}: {reason}")
    say(console, advice(found.ranked))
    say(console, spent.sentence())
    if found.ranked:
        picture = out / "companions.png"
        draw_companions(picture, found.ranked, f"Companions of {found.big.info.model}")
        say(console, f"wrote {picture}")


def companion_table(ranked: Sequence[Ranked], title: str) -> Rows:
    """Ranked companions, a row each."""
    from edge_sdk.terminal.tables import Rows

    columns = (
        "model",
        "delta-C",
        "T",
        "exits",
        "alone",
        "cascade",
        "points against big (95%)",
        "MACs",
        "latency",
        "energy",
        "upload",
        "size",
    )
    table = Rows(title, columns)
    for one in ranked:
        gap = one.against_big
        table.add(
            one.name,
            f"{one.choice.saving:+.3f}",
            f"{one.choice.threshold:.3f}",
            f"{one.exit_ratio:.1%}",
            f"{one.accuracy:.1%}",
            f"{one.cascade_accuracy:.1%}",
            f"{100 * gap.value:+.1f} ({100 * gap.low:+.1f} to {100 * gap.high:+.1f})",
            f"{one.relative_macs:.1%}",
            f"{one.latency_ms:.2f} ms",
            f"{one.energy_mj:.2f} mJ",
            f"{one.upload_bytes / 1e3:.2f} kB",
            f"{one.model_bytes / 1e6:.2f} MB" if one.model_bytes else "?",
        )
    return table
