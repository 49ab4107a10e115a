"""The workbench's command that chooses a threshold: `edge-sdk calibrate`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from msgspec.structs import replace
from rich.console import Console
from rich.table import Table

from edge_sdk.workbench.commands.options import DATA_HELP, measuring_split, progress_bars
from edge_sdk.workbench.data import open_source
from edge_sdk.workbench.labelled import read_all


def _parse_size(ctx: click.Context, parameter: click.Parameter, text: str | None) -> float | None:
    if text is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kMG]?)B?", text)
    if match is None:
        raise click.BadParameter(f"expected bytes such as 38MB; got {text!r}")
    return float(match[1]) * {"": 1, "k": 1e3, "M": 1e6, "G": 1e9}[match[2]]


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
@click.option("--quality", type=click.IntRange(1, 100), help="Quality of uploads.  [default: the bundle's]")
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
    from edge_sdk.model.bundle import open_bundle
    from edge_sdk.workbench.calibrate import calibrate_records
    from edge_sdk.workbench.calibration import Rule
    from edge_sdk.workbench.draw import draw_calibration
    from edge_sdk.workbench.records_file import load_records
    from edge_sdk.workbench.write_calibration import calibrate_bundle, write_calibration

    if (data is None) == (files is None):
        raise click.UsageError("expected either --data or --records")
    given = {name: value for name, value in limits.items() if value is not None} or {"eps": 0.01}
    rule = Rule(**given, delta=delta, frames_per_day=frames_per_day)
    usual = open_bundle(bundle).policy.upload
    upload = replace(usual, max_side=max_side or usual.max_side, quality=quality or usual.quality)
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
