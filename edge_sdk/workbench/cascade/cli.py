"""The workbench's commands on cascades: `edge-sdk records`, `edge-sdk calibrate`, `edge-sdk companion`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from edge_sdk.policy import Upload
from edge_sdk.workbench.cli import DATA_HELP, measuring_split, progress_bars
from edge_sdk.workbench.data import Split, open_source, read_all

_RULES = ("eps", "drop", "offload_ratio", "bytes_per_day", "macs")


def _parse_upload(ctx: click.Context, parameter: click.Parameter, text: str | None) -> Upload | None:
    if text is None:
        return None
    match = re.fullmatch(r"(\d{2,5})@(\d{1,3})", text, re.ASCII)
    if match is None or not 1 <= int(match[2]) <= 100 or int(match[1]) < 16:
        raise click.BadParameter(f"expected LONGER_SIDE@QUALITY, such as 640@85; got {text!r}")
    return Upload(int(match[1]), int(match[2]))


def _parse_size(ctx: click.Context, parameter: click.Parameter, text: str | None) -> float | None:
    if text is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kMG]?)B?", text)
    if match is None:
        raise click.BadParameter(f"expected bytes such as 38MB; got {text!r}")
    return float(match[1]) * {"": 1, "k": 1e3, "M": 1e6, "G": 1e9}[match[2]]


@click.command()
@click.argument("models", nargs=-1, required=True)
@click.option("--data", required=True, help=DATA_HELP)
@click.option("--split", type=click.Choice([one.value for one in Split]), help="Of the data.  [default: calibration]")
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder of the records.")
@click.option("--pretrained", is_flag=True, help="timm names: with their pretrained weights.")
@click.option(
    "--as-uploaded", callback=_parse_upload, metavar="SIDE@QUALITY", help="Models see pictures after this encoding."
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
    from edge_sdk.workbench.record import file_name, open_subject, record
    from edge_sdk.workbench.records import load_records, read_csv, save_records

    source = open_source(data, Split(split) if split else measuring_split(data))
    subjects = [open_subject(name, pretrained=pretrained, threads=threads, upload=as_uploaded) for name in models]
    console = Console()
    with progress_bars(console) as bars:
        task = bars.add_task("parts", total=source.parts)
        paths = record(
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
@click.option("--bundle", required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--big", required=True, help="The big model: a .safetensors checkpoint, or timm's name.")
@click.option("--data", help=DATA_HELP)
@click.option(
    "--records",
    "files",
    nargs=2,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="LITTLE BIG",
    help="Instead of --data: what both models said, from `edge-sdk records`.",
)
@click.option("--eps", type=click.FloatRange(0, 1, min_open=True, max_open=True), help="Guarantee: lose at most this.")
@click.option("--delta", default=0.05, show_default=True, help="Tolerated chance that the guarantee fails.")
@click.option("--drop", type=click.FloatRange(-1, 1), help="Lose at most this on these pictures; 0: lossless.")
@click.option("--offload-ratio", type=click.FloatRange(0, 1), help="At most this share of frames to the cloud.")
@click.option("--bytes-per-day", callback=_parse_size, metavar="SIZE", help="At most so many, such as 38MB.")
@click.option("--macs", type=click.FloatRange(0, min_open=True), help="At most so many per frame, both models.")
@click.option("--frames-per-day", default=2000.0, show_default=True, help="That the little model sees.")
@click.option("--no-gate", is_flag=True, help="Keep to the plain confidence.")
@click.option("--max-side", type=click.IntRange(16), help="Longest side of uploads.  [default: the bundle's]")
@click.option("--quality", type=click.IntRange(1, 100), help="JPEG quality of uploads.  [default: the bundle's]")
@click.option("--picture", type=click.Path(dir_okay=False, path_type=Path), help="Draw the curve into this PNG.")
def calibrate(
    bundle: Path,
    big: str,
    data: str | None,
    files: tuple[Path, Path] | None,
    delta: float,
    frames_per_day: float,
    no_gate: bool,
    max_side: int | None,
    quality: int | None,
    picture: Path | None,
    **limits: Any,
) -> None:
    """Choose a bundle's threshold against a big model; writes policy.json.

    The threshold follows one of --eps, --drop, --offload-ratio, --bytes-per-day, --macs; without any, --eps 0.01: with
    confidence 1 - delta the cascade is at most one point below the big model.
    """
    from edge_sdk.bundle import open_bundle
    from edge_sdk.workbench.calibrate import Rule, calibrate_bundle, calibrate_records, write_calibration
    from edge_sdk.workbench.draw import draw_calibration
    from edge_sdk.workbench.records import load_records

    if (data is None) == (files is None):
        raise click.UsageError("expected either --data or --records")
    given = {name: limits[name] for name in _RULES if limits[name] is not None} or {"eps": 0.01}
    rule = Rule(**given, delta=delta, frames_per_day=frames_per_day)
    usual = open_bundle(bundle).policy.upload
    upload = Upload(max_side or usual.max_side, quality or usual.quality)
    console = Console()
    if files is not None:
        little, cloud = (load_records(path) for path in files)
        found = calibrate_records(little, cloud, rule, upload=upload, learned_gate=not no_gate)
        found = write_calibration(bundle, found, big=cloud.info.model, rule=rule)
    else:
        assert data is not None
        with progress_bars(console) as bars:
            task = bars.add_task("pictures", total=None)
            found = calibrate_bundle(
                bundle,
                big,
                read_all(open_source(data, measuring_split(data))),
                rule,
                upload=upload,
                learned_gate=not no_gate,
                on_done=lambda done: bars.update(task, completed=done),
            )
    if found.comparisons:
        console.print(_score_table(found.comparisons))
    console.print(_hardness_table(found.bins))
    console.print(
        f"little {found.little_accuracy:.1%}, cascade {found.point.accuracy:.1%}, big {found.big_accuracy:.1%}; "
        f"{found.point.macs / 1e6:.1f} MMAC a frame, {found.point.macs / found.curve.big_macs:.1%} of the big model's"
    )
    console.print(found.sentence(), soft_wrap=True)
    if picture is not None:
        draw_calibration(picture, found, f"{bundle.resolve().name} against {found.policy.calibration['big']}")
        console.print(f"picture: {picture}")


def _score_table(comparisons: Sequence[Any]) -> Table:
    table = Table(title="Scores, cross-validated", title_justify="left")
    for column in ("score", "area, points", "against max softmax", "95%", "MACs at no loss"):
        table.add_column(column, justify="left" if column == "score" else "right")
    for one in comparisons:
        spread = f"{100 * one.low:+.2f} .. {100 * one.high:+.2f}"
        name = f"{one.name} (better beyond noise)" if one.better else one.name
        table.add_row(name, f"{100 * one.area:.2f}", f"{100 * one.difference:+.2f}", spread, f"{one.macs_lossless:.1%}")
    return table


def _hardness_table(bins: Sequence[Any]) -> Table:
    table = Table(title="Frames by what a second opinion does", title_justify="left")
    for column in ("confidence", "frames", "both right", "mended", "broken", "both wrong", "gain per offload"):
        table.add_column(column, justify="left" if column == "confidence" else "right")
    for one in bins:
        if one.records:
            counts = (one.records, one.both_right, one.correctable, one.broken, one.both_wrong)
            table.add_row(f"{one.low:.1f} - {one.high:.1f}", *(str(count) for count in counts), f"{one.gain:+.3f}")
    return table


@click.command()
@click.option("--big", required=True, help="The big model: a checkpoint, timm's name or a bundle.")
@click.option("--candidates", required=True, multiple=True, help="Bundle, checkpoint or timm name; may be repeated.")
@click.option("--data", required=True, help=DATA_HELP)
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder of all it makes.")
@click.option("--pretrained", is_flag=True, help="timm names: with their pretrained weights.")
@click.option("--float", "as_float", is_flag=True, help="Judge candidates in torch, without an export to int8.")
@click.option("--rule", default="robust", show_default=True, type=click.Choice(["paper", "robust"]))
@click.option("--top", default=5, show_default=True, type=click.IntRange(1))
@click.option("--as-uploaded", callback=_parse_upload, metavar="SIDE@QUALITY", help="What the big model sees.")
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
    from edge_sdk.workbench.cascade.companion import advice
    from edge_sdk.workbench.companion import Power, find_companions
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
    table = Table(title=f"Companions of {found.big.info.model} ({rule} rule)", title_justify="left")
    columns = ("model", "delta-C", "T", "exits", "alone", "cascade", "MACs", "latency", "energy", "upload", "size")
    for column in columns:
        table.add_column(column, justify="left" if column == "model" else "right")
    for one in found.ranked:
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
    console.print(table)
    console.print(f"big model alone: {found.big.accuracy:.1%}; all but delta-C and T are of the test split")
    for name, reason in found.left_out.items():
        console.print(f"left out: {name}: {reason}", markup=False, soft_wrap=True)
    console.print(advice(found.ranked), soft_wrap=True)
    if found.ranked:
        picture = out / "companions.png"
        draw_companions(picture, found.ranked, f"Companions of {found.big.info.model}")
        console.print(f"picture: {picture}")
