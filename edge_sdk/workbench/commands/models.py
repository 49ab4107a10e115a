"""The workbench's commands that make models: `edge-sdk train`, `edge-sdk export`."""

from __future__ import annotations

import json
import re
from itertools import islice
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from edge_sdk.model.bundle import InputSpec
from edge_sdk.workbench.commands.options import DATA_HELP, measuring_split, progress_bars
from edge_sdk.workbench.data import open_source
from edge_sdk.workbench.labelled import read_all


def _parse_size(ctx: click.Context, parameter: click.Parameter, text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    match = re.fullmatch(r"(\d{1,4})x(\d{1,4})", text, re.ASCII)
    if match is None or 0 in (int(match[1]), int(match[2])):
        raise click.BadParameter(f"expected WIDTHxHEIGHT, such as 128x96; got {text!r}")
    return int(match[1]), int(match[2])


def _parse_options(ctx: click.Context, parameter: click.Parameter, texts: tuple[str, ...]) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise click.BadParameter(f"expected NAME=VALUE; got {text!r}")
        try:
            options[name] = json.loads(value)
        except json.JSONDecodeError:
            options[name] = value
    return options


def _weights(model: str | None, checkpoint: str | None) -> str:
    """What `create_model` is to make."""
    if checkpoint is not None:
        from edge_sdk.networks.checkpoint import read_checkpoint

        arch = read_checkpoint(checkpoint)[1].arch
        if model not in (None, arch):
            raise click.UsageError(f"{checkpoint} is a {arch}; expected that for --model, or none; got {model}")
        return checkpoint
    if model is None:
        raise click.UsageError("expected --model or --checkpoint")
    return model


@click.command()
@click.option("--model", help="timm's name; with --checkpoint it may be left out.")
@click.option("--checkpoint", type=click.Path(exists=True, dir_okay=False), help="Go on from these weights.")
@click.option("--pretrained", is_flag=True, help="Start from timm's pretrained weights.")
@click.option(
    "--model-option", multiple=True, callback=_parse_options, metavar="NAME=VALUE", help="For timm's create_model."
)
@click.option("--data", required=True, help=DATA_HELP)
@click.option("--val", help="Validation pictures.  [default: a split of --data]")
@click.option(
    "--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="The .safetensors to write."
)
@click.option("--size", callback=_parse_size, metavar="WxH", help="Input size.  [default: the model's own]")
@click.option("--epochs", default=20, show_default=True, type=click.IntRange(1))
@click.option("--batch", default=64, show_default=True, type=click.IntRange(1))
@click.option("--learning-rate", default=2e-3, show_default=True)
@click.option("--weight-decay", default=0.05, show_default=True)
@click.option("--average", default=0.998, show_default=True, help="Decay per step of the average of the weights.")
@click.option("--label-smoothing", default=0.05, show_default=True)
@click.option(
    "--teacher", type=click.Path(exists=True, dir_okay=False), help="A checkpoint whose output is learnt too."
)
@click.option("--teacher-weight", default=0.7, show_default=True, type=click.FloatRange(0, 1))
@click.option(
    "--augment", default=1.0, show_default=True, type=click.FloatRange(0, 1), help="Strength of augmentation."
)
@click.option("--pictures", callback=_parse_size, metavar="WxH", help="Size at which pictures are kept on disk.")
@click.option("--seed", default=0, show_default=True)
@click.option("--precision", default="fp32", show_default=True, type=click.Choice(["fp32", "bf16"]))
@click.option("--device", default="cpu", show_default=True, type=click.Choice(["cpu", "cuda"]))
@click.option("--threads", default=0, type=click.IntRange(0), help="CPU threads.  [default: torch's choice]")
@click.option(
    "--workers", default=1, show_default=True, type=click.IntRange(1), help="Processes that render or decode."
)
@click.option("--half", is_flag=True, help="Store the weights in float16.")
@click.option("--version", default="", help="Of the model, for the record.")
@click.option("--cache", type=click.Path(file_okay=False, path_type=Path), help="Folder of prepared pictures.")
def train(
    model: str | None,
    checkpoint: str | None,
    model_option: dict[str, Any],
    size: tuple[int, int] | None,
    workers: int,
    cache: Path | None,
    **settings: Any,
) -> None:
    """Train or fine-tune a timm model; killed at any moment, the same command goes on where it was."""
    from edge_sdk.workbench.train import Progress
    from edge_sdk.workbench.train import train as run
    from edge_sdk.workbench.train_config import TrainConfig

    config = TrainConfig(
        model=_weights(model, checkpoint),
        model_options=model_option,
        width=size[0] if size else None,
        height=size[1] if size else None,
        render_workers=workers,
        **settings,
    )
    console = Console()
    with progress_bars(console) as bars:
        rendering = bars.add_task("pictures", total=None, visible=False)
        training = bars.add_task("training", total=None, visible=False)

        def on_part(done: int, parts: int) -> None:
            bars.update(rendering, completed=done, total=parts, visible=True)

        def on_progress(now: Progress) -> None:
            text = f"training, loss {now.loss:.3f}"
            bars.update(training, completed=now.step, total=now.steps, visible=True, description=text)
            if now.accuracy is not None:
                console.print(f"epoch {now.epoch}: loss {now.loss:.3f}, validation accuracy {now.accuracy:.1%}")

        path = run(config, cache=cache, on_progress=on_progress, on_part=on_part)
    console.print(f"wrote {path}")


@click.command()
@click.option("--model", help="timm's name; with --checkpoint it may be left out.")
@click.option("--checkpoint", type=click.Path(exists=True, dir_okay=False), help="Export these weights.")
@click.option("--pretrained", is_flag=True, help="timm's pretrained weights.")
@click.option("--images", required=True, help=f"To calibrate int8 on. {DATA_HELP}")
@click.option("--limit", default=300, show_default=True, type=click.IntRange(1), help="Use so many of them.")
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="The bundle's folder.")
@click.option("--name", help="Of the model.  [default: the folder's name]")
@click.option("--version", help="Of the model.  [default: the checkpoint's]")
@click.option("--size", callback=_parse_size, metavar="WxH", help="Input size.  [default: the model's own]")
@click.option("--fp32", is_flag=True, help="Do not quantise.")
@click.option("--allow", multiple=True, metavar="OPERATOR", help="May run outside XNNPACK though it is heavy.")
def export(
    model: str | None,
    checkpoint: str | None,
    pretrained: bool,
    images: str,
    limit: int,
    out: Path,
    name: str | None,
    version: str | None,
    size: tuple[int, int] | None,
    fp32: bool,
    allow: tuple[str, ...],
) -> None:
    """Quantise a model to int8, lower it to XNNPACK and write a bundle; checks the result in the device's runtime."""
    from edge_sdk.networks.checkpoint import create_model
    from edge_sdk.workbench.export import export as run

    module, info = create_model(_weights(model, checkpoint), pretrained=pretrained)
    spec = info.input
    if size is not None:
        spec = InputSpec(size[0], size[1], spec.mean, spec.std, spec.resize)
    console = Console()
    pictures = islice(read_all(open_source(images, measuring_split(images))), limit)
    report = run(
        module,
        pictures,
        out,
        labels=info.labels,
        input=spec,
        name=name or out.resolve().name,
        version=version or info.version,
        fp32=fp32,
        allow=allow,
        on_step=lambda text: console.print(f"{text} ..."),
    )
    manifest = report.bundle.manifest
    table = Table(title=f"{manifest.name} {manifest.version} on {report.pictures} pictures", title_justify="left")
    table.add_column("")
    table.add_column("float", justify="right")
    table.add_column(manifest.precision, justify="right")
    if report.float_accuracy is not None and report.bundle_accuracy is not None:
        table.add_row("accuracy", f"{report.float_accuracy:.1%}", f"{report.bundle_accuracy:.1%}")
    table.add_row("agreement", "", f"{report.agreement:.1%}")
    if report.float_layers:
        table.add_row("last layers in float32", "", f"{report.float_layers}")
    table.add_row("size", f"{4 * manifest.parameters / 1e6:.2f} MB", f"{report.model_bytes / 1e6:.2f} MB")
    console.print(table)
    console.print(f"wrote {report.bundle.path}")
