"""The workbench's command on exit sequences: `edge-sdk sequence`."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.table import Table

from edge_sdk.workbench.cascade.chain import UNUSED
from edge_sdk.workbench.cascade.threshold_search import METHODS
from edge_sdk.workbench.commands.options import DATA_HELP, progress_bars
from edge_sdk.workbench.data import open_source
from edge_sdk.workbench.labelled import Split


@click.command()
@click.option("--big", required=True, help="The big model: a .safetensors checkpoint, or timm's name.")
@click.option("--pretrained", is_flag=True, help="timm's pretrained weights.")
@click.option("--bundle", required=True, help="The little model's bundle, calibrated.")
@click.option("--data", required=True, help=DATA_HELP)
@click.option(
    "--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="The .safetensors to write."
)
@click.option("--exits", default=4, show_default=True, type=click.IntRange(1, 12), help="How many to attach.")
@click.option("--dim", default=64, show_default=True, type=click.IntRange(8), help="Of the tokens.")
@click.option("--epochs", default=40, show_default=True, type=click.IntRange(1))
@click.option("--drop", default=0.0, show_default=True, help="Tolerated loss against the big model.")
@click.option("--method", default="circular", show_default=True, type=click.Choice(METHODS))
@click.option("--conservative", type=click.FloatRange(0, 1, min_open=True, max_open=True), help="Beta quantile.")
@click.option("--seed", default=0, show_default=True)
@click.option("--cache", type=click.Path(file_okay=False, path_type=Path), help="Folder of features.")
def sequence(
    big: str,
    pretrained: bool,
    bundle: str,
    data: str,
    out: Path,
    exits: int,
    dim: int,
    epochs: int,
    drop: float,
    method: str,
    conservative: float | None,
    seed: int,
    cache: Path | None,
) -> None:
    """Attach early exits to a big model, that go on from the little model's answer; `cloud-server --model OUT` runs it.

    Trained on the data's training split, searched on its calibration split, judged on its test split. Stopped at any
    moment, the same command goes on where it was.
    """
    import torch

    from edge_sdk.model.little import LittleModel
    from edge_sdk.networks.checkpoint import create_model
    from edge_sdk.networks.sequence import SequenceModel, attach_exits
    from edge_sdk.networks.sequence_file import save_sequence
    from edge_sdk.networks.taps import find_taps
    from edge_sdk.workbench.sequence.search import find_exits, with_exits
    from edge_sdk.workbench.sequence.train import collect_features, fit_temperatures, train_exits

    console = Console()
    folder = cache or out.with_name(f"{out.stem}-features")
    torch.manual_seed(seed)
    network, info = create_model(big, pretrained=pretrained)
    with LittleModel(bundle) as little, progress_bars(console) as bars:
        taps = find_taps(network, info.input.width, info.input.height, most=exits)
        model = attach_exits(network, info, taps, little.labels, dim=dim)
        upload = little.bundle.policy.upload
        task = bars.add_task("features", total=None)
        parts = []
        for split in (Split.TRAIN, Split.CALIBRATION, Split.TEST):
            source = open_source(data, split)
            parts.append(
                collect_features(
                    model,
                    little,
                    source,
                    folder,
                    upload=upload,
                    on_part=lambda done, of: bars.update(task, completed=done, total=of),
                )
            )
        train, calibration, test = parts
        training = bars.add_task("training", total=epochs)
        train_exits(
            model,
            train,
            epochs=epochs,
            seed=seed,
            state=out.with_name(f"{out.name}.state"),
            on_epoch=lambda done, of, loss: bars.update(training, completed=done, description=f"training, {loss:.3f}"),
        )
        temperatures = fit_temperatures(model, calibration)
        model = SequenceModel(model.big, model.exits, msgspec.structs.replace(model.info, temperatures=temperatures))
        found = find_exits(
            model,
            calibration,
            test,
            little_macs=little.macs,
            drop=drop,
            method=method,
            conservative=conservative,
        )
        names = ["device", *model.info.modules, "big model"]
    save_sequence(out, with_exits(model, found))
    table = Table(title=f"Exit sequence on {info.arch}, {len(test)} test frames", title_justify="left")
    for column in ("exit", "leave at", "frames"):
        table.add_column(column, justify="left" if column == "exit" else "right")
    for name, threshold, share in zip(names, [*found.evaluated.thresholds, 0.0], found.evaluated.shares, strict=True):
        table.add_row(name, "unused" if threshold == UNUSED else f"{threshold:.3f}", f"{share:.1%}")
    console.print(table)
    table = Table(title_justify="left")
    for column in ("", "accuracy", "MACs a frame", "of the big model"):
        table.add_column(column, justify="left" if not column else "right")
    rows = (
        ("big model alone", found.big_accuracy, found.big_macs),
        ("little and big", found.single.accuracy, found.single.macs),
        ("exit sequence", found.evaluated.accuracy, found.evaluated.macs),
    )
    for name, accuracy, macs in rows:
        table.add_row(name, f"{accuracy:.1%}", f"{macs / 1e6:.1f} M", f"{macs / found.big_macs:.1%}")
    console.print(table)
    gain = found.advantage
    console.print(
        f"at equal MACs {100 * gain.value:+.2f} points over little and big "
        f"(95%: {100 * gain.low:+.2f} to {100 * gain.high:+.2f})",
        soft_wrap=True,
    )
    console.print(f"wrote {out}; serve it with: cloud-server --model {out}", soft_wrap=True)
