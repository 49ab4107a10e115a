"""The workbench's command that chooses encodings: `edge-sdk ladder`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table

from edge_sdk.images.rendition import MIN_SIDE
from edge_sdk.workbench.commands.options import DATA_HELP, measuring_split, progress_bars
from edge_sdk.workbench.data import open_source
from edge_sdk.workbench.encodings import FORMATS, QUALITIES, Format

if TYPE_CHECKING:
    from edge_sdk.workbench.encoding_ladder import Ladder


def _join(values: Iterable[object]) -> str:
    return ",".join(str(value) for value in values)


def _numbers(least: int, most: int) -> Callable[[click.Context, click.Parameter, str | None], tuple[int, ...]]:
    """Reads numbers between commas."""

    def read(ctx: click.Context, parameter: click.Parameter, text: str | None) -> tuple[int, ...]:
        if text is None:
            return ()
        words = [word.strip() for word in text.split(",")]
        found = tuple(int(word) for word in words if word.isascii() and word.isdigit())
        if len(found) != len(words) or not all(least <= one <= most for one in found):
            raise click.BadParameter(f"expected numbers from {least} to {most} between commas; got {text!r}")
        return found

    return read


def _formats(ctx: click.Context, parameter: click.Parameter, text: str) -> tuple[Format, ...]:
    words = [word.strip() for word in text.split(",")]
    found = tuple(format for format in FORMATS if format in words)
    if len(found) != len(words):
        raise click.BadParameter(f"expected formats among {_join(FORMATS)}; got {text!r}")
    return found


@click.command()
@click.option("--bundle", required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--big", required=True, help="The big model: a .safetensors checkpoint, timm's name or a bundle.")
@click.option("--data", required=True, help=DATA_HELP)
@click.option(
    "--drop",
    default=0.005,
    show_default=True,
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Of accuracy over all frames, against pictures as they are.",
)
@click.option(
    "--delta",
    default=0.05,
    show_default=True,
    type=click.FloatRange(0, 0.25, min_open=True),
    help="Tolerated chance that the promise fails.",
)
@click.option(
    "--level",
    default=0.05,
    show_default=True,
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="A dearer rendition must be better at this level of the sign test.",
)
@click.option("--raw-front", is_flag=True, help="Keep every rendition that looks better, noise or not.")
@click.option("--all", "every", is_flag=True, help="Look at all pictures, also those that would exit.")
@click.option(
    "--sides",
    callback=_numbers(MIN_SIDE, 65_535),
    metavar="N,...",
    help="Longest sides, pixels.  [default: 1/2, 3/4, 1 and 3/2 of the big model's input]",
)
@click.option("--qualities", callback=_numbers(1, 100), default=_join(QUALITIES), show_default=True, metavar="N,...")
@click.option("--formats", callback=_formats, default=_join(FORMATS), show_default=True)
@click.option("--cache", type=click.Path(file_okay=False, path_type=Path), help="Folder of kept records.")
@click.option("--picture", type=click.Path(dir_okay=False, path_type=Path), help="Draw accuracy against bytes.")
@click.option("--dry-run", is_flag=True, help="Leave policy.json as it is.")
def ladder(
    bundle: Path,
    big: str,
    data: str,
    drop: float,
    delta: float,
    level: float,
    raw_front: bool,
    every: bool,
    sides: tuple[int, ...],
    qualities: tuple[int, ...],
    formats: tuple[Format, ...],
    cache: Path | None,
    picture: Path | None,
    dry_run: bool,
) -> None:
    """Choose how pictures travel, by the big model's accuracy against bytes; writes policy.json.

    The frames that the little model would offload are encoded at each size, quality and format, and the big model sees
    them as the server would. `upload` becomes the cheapest encoding that loses at most --drop, with confidence 1 -
    delta; `ladder` the encodings to choose from for each frame. Stopped, the same command goes on where it was.
    """
    from edge_sdk.workbench.draw import draw_ladder
    from edge_sdk.workbench.encoding_ladder import Rule, measure_ladder, write_ladder

    console = Console()
    with progress_bars(console) as bars:
        task = bars.add_task("parts", total=None)
        found = measure_ladder(
            bundle,
            big,
            open_source(data, measuring_split(data)),
            Rule(drop=drop, delta=delta, level=level, raw=raw_front),
            sides=sides,
            qualities=qualities,
            formats=formats,
            every=every,
            folder=cache,
            on_step=lambda text: console.print(f"{text} ..."),
            on_part=lambda done, parts: bars.update(task, completed=done, total=parts),
        )
    console.print(ladder_table(found))
    console.print(
        f"{found.frames} frames, {found.offloaded} offloaded; of the offloaded ones that judge, the big model names "
        f"{found.choice.original_accuracy:.1%} rightly as they are, the little one {found.choice.little_accuracy:.1%}",
        soft_wrap=True,
    )
    if not found.renditions:
        console.print("The big model is no better than the little one on these frames: there is no ladder.")
    console.print(found.sentence(), soft_wrap=True)
    if not dry_run:
        write_ladder(bundle, found)
    if picture is not None:
        draw_ladder(picture, found, f"{bundle.resolve().name}: encodings for {found.big}")
        console.print(f"picture: {picture}")


def ladder_table(found: Ladder) -> Table:
    """Every encoding that was tried, by rising bytes, on the evaluation part."""
    choice, sure = found.choice, f"{1 - found.rule.delta:.0%}"
    table = Table(title="Encodings, judged", title_justify="left")
    for column in (
        "encoding",
        "kB",
        "ms",
        "accuracy",
        "against originals",
        "95%",
        "p",
        f"may lose ({sure})",
        "kept",
        "",
    ):
        table.add_column(column, justify="left" if column in ("encoding", "") else "right")
    for index in sorted(range(len(choice.evaluated)), key=lambda index: choice.evaluated[index].mean_bytes):
        one = choice.evaluated[index]
        gap = one.difference
        marks = {"ladder": index in choice.ladder, "safe": index == choice.safe, "now": index == found.usual}
        table.add_row(
            found.uploads[index].name,
            f"{one.mean_bytes / 1e3:.2f}",
            f"{found.encode_ms[index]:.2f}",
            f"{one.accuracy:.1%}",
            f"{100 * gap.value:+.2f}",
            f"{100 * gap.low:+.1f} .. {100 * gap.high:+.1f}",
            f"{gap.p_value:.3f}" if gap.p_value >= 0.001 else "<0.001",
            f"{100 * one.promise:.2f}",
            f"{one.relative_gain:.3f}" if index in choice.ladder else "",
            ", ".join(mark for mark, holds in marks.items() if holds),
        )
    table.caption = (
        "against originals: points of the offloaded frames; may lose: points of all frames; ms: processor time here"
    )
    return table
