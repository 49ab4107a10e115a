"""`edge-sdk export`: from a network to a bundle."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_sdk.cli.given import given, refuse_together
from edge_sdk.cli.options import (
    data_option,
    out_option,
    parse_size,
    pretrained_option,
    seed_option,
    threads_option,
    view_option,
)
from edge_sdk.cli.weights_option import WeightsFile, arch_option, model_or_checkpoint, with_arch
from edge_sdk.terminal.command import need, when_stopped

if TYPE_CHECKING:
    from edge_sdk.terminal.tables import Rows
    from edge_sdk.workbench.export import ExportReport

_ENOUGH = 100  # labelled pictures: the accuracy is then at most 10 points off (95%)
_LOSSES, _LEAST_SHARE = 5, 0.02  # layers that the report names, and their least share of the error
_LIMIT = "Calibrate on at most this many of them, spread over all class folders."
_QUANTISE = (
    "How much is tried to keep the answers in int8. fast: ranges and bias correction. best: also rounding with the "
    "pictures in view, and layers in float32 where int8 costs too much; takes a few minutes."
)
_MEASURE = "Measure on at most this many others, which `edge-sdk train` on the same folder leaves out too."


@click.command()
@click.option("--model", callback=with_arch, help="timm name of the network, or a file of weights.")
@arch_option()
@click.option("--checkpoint", type=WeightsFile(), help="Weights to export, a checkpoint or others (.pth).")
@pretrained_option()
@data_option(note="To calibrate int8 on, and to measure on; unsorted ones will do.", old_names=("--images",))
@click.option("--limit", default=300, show_default=True, type=click.IntRange(1), help=_LIMIT)
@click.option("--measure", default=300, show_default=True, type=click.IntRange(0), help=_MEASURE)
@seed_option("Seed of the choice of pictures.")
@out_option("Bundle folder to write.", folder=True)
@click.option("--name", help="Name of the model.  [default: the folder's name]")
@click.option("--version", help="Version of the model.  [default: the checkpoint's]")
@click.option("--size", callback=parse_size, metavar="WxH", help="Input size.  [default: the model's own]")
@click.option(
    "--precision",
    default="int8",
    show_default=True,
    type=click.Choice(["int8", "fp32"]),
    help="Number format of the bundle's weights and arithmetic.",
)
@click.option("--fp32", is_flag=True, hidden=True, help="As --precision fp32.")
@click.option("--quantise", default="best", show_default=True, type=click.Choice(["fast", "best"]), help=_QUANTISE)
@click.option(
    "--allow", multiple=True, metavar="OPERATOR", help="Operator that may stay outside XNNPACK; may be repeated."
)
@view_option(
    "What of a frame the network is to look at, for the manifest.  [default: as the checkpoint says, else frame]"
)
@threads_option()
def export(
    model: str | None,
    checkpoint: str | None,
    pretrained: bool,
    data: str,
    limit: int,
    measure: int,
    seed: int,
    out: Path,
    name: str | None,
    version: str | None,
    size: tuple[int, int] | None,
    precision: str,
    fp32: bool,
    quantise: str,
    allow: tuple[str, ...],
    view: str | None,
    threads: int | None,
) -> None:
    """Quantise a model to int8, lower it to XNNPACK and write a bundle.

    The bundle is checked in the device's runtime before it is written.
    """
    refuse_together(("--pretrained", "--checkpoint", "the network has timm's weights or the checkpoint's"))
    if fp32 and precision == "int8" and "--precision" in given():
        raise click.UsageError("expected --fp32 or --precision int8, not both")
    need("torch", "timm", "safetensors", "executorch")
    from edge_sdk.terminal.progress import Steps, loading, progress_bars, shown_by
    from edge_sdk.terminal.text import open_console, say

    console = open_console()
    with loading(console):
        from edge_sdk.model.made_for import made_for
        from edge_sdk.networks.checkpoint import create_model
        from edge_sdk.types import View
        from edge_sdk.workbench.export import export as run
        from edge_sdk.workbench.sample import draw_sample
        from edge_sdk.workbench.spent import Account
        from edge_sdk.workbench.threads import take_threads

        taken = take_threads(threads)
    account = Account()
    say(console, taken.sentence())
    steps = Steps(console, "reading the model")
    stopped = when_stopped(lambda: f"while {steps.now}; nothing was written to {out}")
    with stopped, progress_bars(console) as bars:
        module, info = create_model(model_or_checkpoint(model, checkpoint), pretrained=pretrained, size=size)
        steps.now = "reading pictures"
        looks = View(view or info.view)
        size_of = {"across": info.input.width, "down": info.input.height}
        drawn = draw_sample(data, limit, measure, seed, view=looks, **size_of)
        report = run(
            module,
            drawn.pictures,
            out,
            held_out=drawn.held_out,
            made_for=made_for(data, str(info.training.get("data", ""))),
            labels=info.labels,
            input=info.input,
            name=name or out.resolve().name,
            version=version or info.version,
            fp32=fp32 or precision == "fp32",
            effort=quantise,  # type: ignore[arg-type]  # click lets no other through
            allow=allow,
            view=looks,
            on_step=steps,
            on_progress=shown_by(bars),
        )
    console.print(export_table(report))
    for line in remarks(report):
        say(console, line)
    say(console, account.now().sentence())
    say(console, f"wrote {report.bundle.path}")


def export_table(report: ExportReport) -> Rows:
    """The float network beside the bundle."""
    from edge_sdk.terminal.tables import Rows

    manifest = report.bundle.manifest
    columns = ("", "float", manifest.precision)
    table = Rows(f"{manifest.name} {manifest.version}, measured on {report.measured} pictures", columns)
    if report.float_accuracy is not None and report.bundle_accuracy is not None:
        table.add("accuracy", f"{report.float_accuracy:.1%}", f"{report.bundle_accuracy:.1%}")
    if report.difference is not None:
        table.add("difference", "", report.difference.points())
    table.add("agreement", "", f"{report.agreement:.1%}")
    table.add("error of the outputs", "", f"{report.error:.4f}")
    if report.float_layers:
        table.add("layers in float32", "", report.float_layers)
    table.add("size", f"{4 * manifest.parameters / 1e6:.2f} MB", f"{report.model_bytes / 1e6:.2f} MB")
    table.add("time of a picture here", "", f"{report.latency_ms:.2f} ms")
    return table


def remarks(report: ExportReport) -> Iterator[str]:
    """What the figures rest on."""
    manifest = report.bundle.manifest
    if not report.held_out:
        yield (
            f"These are the {report.pictures} pictures that the export worked on: there were none to hold out, and on "
            "new ones the figures are lower."
        )
    elif manifest.precision == "int8":
        yield f"int8 was calibrated on {report.pictures} other pictures."
    if report.outside:
        places: dict[str, list[str]] = {}
        for one in report.outside:
            places.setdefault(one.module, []).append(one.operator)
        told = "; ".join(f"{', '.join(names)} in {module}" for module, names in places.items())
        yield f"Outside XNNPACK, but light or allowed: {told}."
    if report.spared:
        yield f"In float32: {', '.join(report.spared)}."
    most = [loss for loss in report.losses[:_LOSSES] if loss.share >= _LEAST_SHARE]
    if most:
        shares = ", ".join(f"{loss.name} {loss.share:.0%}" for loss in most)
        yield f"Most of the error of the outputs comes from: {shares}."
    if report.float_accuracy is None:
        names = ", ".join(manifest.labels[:8]) + (" ..." if len(manifest.labels) > 8 else "")
        yield f"No accuracy: none of these pictures lies in a folder named as a label of the model ({names})."
    elif report.labelled < _ENOUGH:
        yield (
            f"{report.labelled} labelled pictures are too few to measure an accuracy: it may be "
            f"{98 / report.labelled**0.5:.0f} points off."
        )
