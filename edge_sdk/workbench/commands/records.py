"""The workbench's commands on records: `edge-sdk records`, `edge-sdk cascade`, `edge-sdk companion`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from edge_sdk.images.rendition import Upload
from edge_sdk.workbench.cascade.companion import Ranked, advice
from edge_sdk.workbench.commands.options import DATA_HELP, measuring_split, parse_upload, progress_bars
from edge_sdk.workbench.data import open_source
from edge_sdk.workbench.labelled import Split


@click.command()
@click.argument("models", nargs=-1, required=True)
@click.option("--data", required=True, help=DATA_HELP)
@click.option("--split", type=click.Choice([one.value for one in Split]), help="Of the data.  [default: calibration]")
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder of the records.")
@click.option("--pretrained", is_flag=True, help="timm names: with their pretrained weights.")
@click.option(
    "--as-uploaded",
    callback=parse_upload,
    metavar="SIDE@QUALITY[.webp]",
    help="Models see pictures after this encoding.",
)
@click.option("--threads", default=1, show_default=True, type=click.IntRange(1), help="Of bundles.")
@click.option("--csv", "csvs", multiple=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
def records(
    models: tuple[str, ...],
    data: str,
    split: str | None,
    out: Path,
    pretrained: bool,
    as_uploaded: Upload | None,
    threads: int,
    csvs: tuple[Path, ...],
) -> None:
    """Run MODELS over labelled pictures and keep what each said: bundles, checkpoints, timm names.

    Stopped at any moment, the same command goes on where it was. --csv imports records of a third party (columns id,
    predicted, probability) on the same pictures.
    """
    from edge_sdk.workbench.recorder import write_records
    from edge_sdk.workbench.records_csv import read_csv
    from edge_sdk.workbench.records_file import load_records, save_records
    from edge_sdk.workbench.subjects import file_name, open_subject

    source = open_source(data, Split(split) if split else measuring_split(data))
    subjects = [open_subject(name, pretrained=pretrained, threads=threads, upload=as_uploaded) for name in models]
    console = Console()
    with progress_bars(console) as bars:
        task = bars.add_task("parts", total=source.parts)
        paths = write_records(
            subjects, source, out, on_part=lambda done, parts: bars.update(task, completed=done, total=parts)
        )
    for path in csvs:
        imported = read_csv(path, load_records(paths[0]))
        paths.append(save_records(out / f"{file_name(imported.info.model)}.npz", imported))
    table = Table(title=f"Records in {out}", title_justify="left")
    for column in ("model", "pictures", "accuracy", "input", "MMAC", "parameters", "latency"):
        table.add_column(column, justify="left" if column == "model" else "right")
    for path in paths:
        one = load_records(path)
        info = one.info
        table.add_row(
            info.model,
            str(len(one)),
            f"{one.accuracy:.1%}",
            f"{info.width}x{info.height}" if info.width else "?",
            f"{info.macs / 1e6:.1f}" if info.macs else "?",
            f"{info.parameters / 1e6:.2f} M" if info.parameters else "?",
            f"{info.latency_ms:.2f} ms" if info.latency_ms else "?",
        )
    console.print(table)


@click.command()
@click.option("--big", required=True, help="The big model: a checkpoint, timm's name or a bundle.")
@click.option("--candidates", required=True, multiple=True, help="Bundle, checkpoint or timm name; may be repeated.")
@click.option("--data", required=True, help=DATA_HELP)
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder of all it makes.")
@click.option("--pretrained", is_flag=True, help="timm names: with their pretrained weights.")
@click.option("--float", "as_float", is_flag=True, help="Judge candidates in torch, without an export to int8.")
@click.option("--rule", default="robust", show_default=True, type=click.Choice(["paper", "robust"]))
@click.option("--top", default=5, show_default=True, type=click.IntRange(1))
@click.option("--as-uploaded", callback=parse_upload, metavar="SIDE@QUALITY[.webp]", help="What the big model sees.")
@click.option("--watts", default=3.0, show_default=True, help="The device draws so much while it computes.")
@click.option("--joules-per-byte", default=5e-6, show_default=True, help="Of sending.")
@click.option("--threads", default=1, show_default=True, type=click.IntRange(1), help="Of the device's runtime.")
def companion(
    big: str,
    candidates: tuple[str, ...],
    data: str,
    out: Path,
    pretrained: bool,
    as_float: bool,
    rule: str,
    top: int,
    as_uploaded: Upload | None,
    watts: float,
    joules_per_byte: float,
    threads: int,
) -> None:
    """Find the little model that saves a big one most (TinySaver).

    Candidates are exported to int8 and measured in the device's runtime. Chosen on the data's calibration split, judged
    on its test split.
    """
    from edge_sdk.workbench.companion_search import Power, find_companions
    from edge_sdk.workbench.draw import draw_companions

    console = Console()
    with progress_bars(console) as bars:
        task = bars.add_task("records", total=None)
        found = find_companions(
            big,
            candidates,
            data,
            out,
            pretrained=pretrained,
            as_float=as_float,
            upload=as_uploaded,
            power=Power(watts, joules_per_byte),
            rule=rule,
            top=top,
            threads=threads,
            on_step=lambda text: console.print(f"{text} ..."),
            on_part=lambda done, parts: bars.update(task, completed=done, total=parts),
        )
    table = companion_table(found.ranked, f"Companions of {found.big.info.model} ({rule} rule)")
    console.print(table)
    console.print(f"big model alone: {found.big.accuracy:.1%}; all but delta-C and T are of the test split")
    for name, reason in found.left_out.items():
        console.print(f"left out: {name}: {reason}", markup=False, soft_wrap=True)
    console.print(advice(found.ranked), soft_wrap=True)
    if found.ranked:
        picture = out / "companions.png"
        draw_companions(picture, found.ranked, f"Companions of {found.big.info.model}")
        console.print(f"picture: {picture}")


def companion_table(ranked: Sequence[Ranked], title: str) -> Table:
    """Ranked companions, a row each."""
    table = Table(title=title, title_justify="left")
    columns = ("model", "delta-C", "T", "exits", "alone", "cascade", "MACs", "latency", "energy", "upload", "size")
    for column in columns:
        table.add_column(column, justify="left" if column == "model" else "right")
    for one in ranked:
        table.add_row(
            one.name,
            f"{one.choice.saving:+.3f}",
            f"{one.choice.threshold:.3f}",
            f"{one.exit_ratio:.1%}",
            f"{one.accuracy:.1%}",
            f"{one.cascade_accuracy:.1%}",
            f"{one.relative_macs:.1%}",
            f"{one.latency_ms:.2f} ms",
            f"{one.energy_mj:.2f} mJ",
            f"{one.upload_bytes / 1e3:.2f} kB",
            f"{one.model_bytes / 1e6:.2f} MB" if one.model_bytes else "?",
        )
    return table


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--judge",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Records of the same models on other pictures, in the same order: thresholds are judged there.",
)
def cascade(files: tuple[Path, ...], judge: tuple[Path, ...]) -> None:
    """Thresholds for models of growing size from their records FILES: little, (middle ...), big.

    For two models the lossless threshold and those that lose half a point and a point; for more, thresholds found
    jointly. With --judge, how they fare on other pictures.
    """
    from edge_sdk.workbench.cascade.chain import UNUSED, evaluate
    from edge_sdk.workbench.cascade.cheapest_chain import cheapest_chain

    if len(files) < 2 or len(judge) not in (0, len(files)):
        raise click.UsageError("expected records of two or more models, and as many for --judge or none")
    stages, temperatures = _stages(files, None)
    elsewhere = _stages(judge, temperatures)[0] if judge else None
    table = Table(title=" -> ".join(stage.name for stage in stages), title_justify="left")
    evaluated = Table(title="elsewhere", title_justify="left")
    for column in ("may lose", "thresholds", "leave at each", "accuracy", "MACs"):
        table.add_column(column, justify="right")
    for column in ("may lose", "lost", "accuracy", "MACs"):
        evaluated.add_column(column, justify="right")
    whole = stages[-1].macs
    for drop in (0.0, 0.005, 0.01):
        found = cheapest_chain(stages, drop=drop)
        named = ["unused" if value == UNUSED else f"{value:.4f}" for value in found.thresholds]
        row = [f"{100 * drop:g} points", ", ".join(named), ", ".join(f"{share:.1%}" for share in found.shares)]
        row += [f"{found.accuracy:.1%}", f"{found.macs / whole:.1%}"]
        table.add_row(*row)
        if elsewhere is not None:
            there = evaluate(elsewhere, found.thresholds)
            lost = 100 * (float(elsewhere[-1].right.mean()) - there.accuracy)
            evaluated.add_row(row[0], f"{lost:+.2f} points", f"{there.accuracy:.1%}", f"{there.macs / whole:.1%}")
    console = Console()
    console.print(table)
    if elsewhere is not None:
        console.print(evaluated)
    console.print(f"MACs are shares of those of {stages[-1].name}, which is right on {stages[-1].right.mean():.1%}")


def _stages(files: Sequence[Path], temperatures: list[float] | None) -> tuple[list[Any], list[float]]:
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
