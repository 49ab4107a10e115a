"""`edge-sdk ladder`: choose the encodings in which frames are sent."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_sdk.cli.given import refuse_together, refuse_without
from edge_sdk.cli.options import (
    big_option,
    bundle_option,
    cache_option,
    data_option,
    label_map_option,
    option,
    picture_option,
    regions_options,
    served_big,
)
from edge_sdk.cli.regions import TWO_FINDERS
from edge_sdk.terminal.command import need, when_stopped

if TYPE_CHECKING:
    from edge_sdk.terminal.tables import Rows
    from edge_sdk.workbench.encoding_ladder import Ladder
    from edge_sdk.workbench.encodings import Format

MIN_SIDE = 16
FORMATS = ("jpeg", "webp")
QUALITIES = (50, 75, 90)
_REGIONS = (
    "Measure pictures with a region, of which its surroundings travel (send: region); `region_upload` becomes the "
    "cheapest encoding."
)
_OPEN = click.FloatRange(0, 1, min_open=True, max_open=True)
_DELTA = click.FloatRange(0, 0.25, min_open=True)
_DROP = "Tolerated loss of accuracy over all frames, against the pictures as they are."
_LEVEL = "Level of the sign test at which a larger encoding must be better to be kept."
_SIDES = "Longest sides, pixels.  [default: 1/2, 3/4, 1 and 3/2 of the big model's input]"


def _numbers(least: int, most: int) -> Callable[[click.Context, click.Parameter, str | None], tuple[int, ...]]:
    """A reader of numbers with commas between them."""

    def read(ctx: click.Context, parameter: click.Parameter, text: str | None) -> tuple[int, ...]:
        if text is None:
            return ()
        words = [word.strip() for word in text.split(",")]
        found = tuple(int(word) for word in words if word.isascii() and word.isdigit())
        if len(found) != len(words) or not all(least <= one <= most for one in found):
            raise click.BadParameter(f"expected numbers from {least} to {most} between commas; got {text!r}")
        return found

    return read


def _formats(ctx: click.Context, parameter: click.Parameter, text: str) -> tuple[str, ...]:
    words = [word.strip() for word in text.split(",")]
    found = tuple(format for format in FORMATS if format in words)
    if len(found) != len(words):
        raise click.BadParameter(f"expected formats among {','.join(FORMATS)}; got {text!r}")
    return found


@click.command()
@bundle_option()
@big_option(also=", a bundle")
@label_map_option()
@data_option(note="To measure on.")
@click.option("--drop", default=0.005, show_default=True, type=_OPEN, help=_DROP)
@click.option("--delta", default=0.05, show_default=True, type=_DELTA, help="Chance that the loss exceeds --drop.")
@click.option("--level", default=0.05, show_default=True, type=_OPEN, help=_LEVEL)
@option(
    "--keep-all", is_flag=True, help="Keep every encoding that looks better, noise or not.", old_names=("--raw-front",)
)
@click.option("--all", "every", is_flag=True, help="Measure on all pictures, also those that would exit.")
@click.option("--regions", is_flag=True, help=_REGIONS)
@regions_options()
@click.option("--sides", callback=_numbers(MIN_SIDE, 65_535), metavar="N,...", help=_SIDES)
@click.option(
    "--qualities",
    callback=_numbers(1, 100),
    default=",".join(map(str, QUALITIES)),
    show_default=True,
    metavar="N,...",
    help="Qualities to try.",
)
@click.option("--formats", callback=_formats, default=",".join(FORMATS), show_default=True, help="Formats to try.")
@cache_option("Folder of the answers so far.  [default: beside the bundle]")
@picture_option("Draw accuracy against bytes here.")
@click.option("--dry-run", is_flag=True, help="Leave policy.json as it is.")
def ladder(
    bundle: Path,
    big: str,
    label_map: dict[str, str],
    data: str,
    drop: float,
    delta: float,
    level: float,
    keep_all: bool,
    every: bool,
    regions: bool,
    detector: Path | None,
    boxes: Path | None,
    sides: tuple[int, ...],
    qualities: tuple[int, ...],
    formats: tuple[Format, ...],
    cache: Path | None,
    picture: Path | None,
    dry_run: bool,
) -> None:
    """Choose how frames are encoded, by the big model's accuracy against bytes; writes policy.json.

    Encodes the frames that would be offloaded at each size, quality and format, and runs the big model on them.
    `upload` becomes the cheapest encoding that loses at most --drop with confidence 1 - delta; `ladder` becomes the
    encodings among which each frame chooses. With --regions the surroundings of regions are measured instead, and
    `region_upload` becomes their encoding. If stopped, the same command continues.
    """
    refuse_together(TWO_FINDERS)
    refuse_without(("--detector", "--regions", "else whole frames travel"), ("--boxes", "--regions", "else they do"))
    need("torch", "timm", "scipy", *(("matplotlib",) if picture else ()))
    from edge_sdk.terminal.progress import progress_bars
    from edge_sdk.terminal.text import open_console, say
    from edge_sdk.workbench.data import measuring_split, open_source
    from edge_sdk.workbench.encoding_ladder import Rule, measure_ladder, write_ladder
    from edge_sdk.workbench.looks import Finding, photo_regions

    console = open_console()
    at = [0, 0]
    stopped = when_stopped(lambda: f"{at[0]} of {at[1]} parts done; the same command continues")
    with stopped, progress_bars(console) as bars:
        task = bars.add_task("parts", total=None)

        def on_part(done: int, parts: int) -> None:
            at[:] = done, parts
            bars.update(task, completed=done, total=parts)

        source = open_source(data, measuring_split(data))
        found = measure_ladder(
            bundle,
            served_big(big)[0],
            photo_regions(source, Finding.given(detector, boxes)) if regions else source,
            Rule(drop=drop, delta=delta, level=level, raw=keep_all),
            sides=sides,
            qualities=qualities,
            formats=formats,
            every=every,
            near=regions,
            folder=cache,
            label_map=label_map,
            on_step=lambda text: say(console, f"{text} ..."),
            on_part=on_part,
        )
    console.print(ladder_table(found))
    of = " of which a region was looked at" if found.near else ""
    say(
        console,
        f"{found.frames} frames, {found.offloaded} offloaded{of}; of the offloaded ones that judge, the big model "
        f"names {found.choice.original_accuracy:.1%} rightly as they are, the little one "
        f"{found.choice.little_accuracy:.1%}",
    )
    if not found.renditions:
        say(console, "The big model is no better than the little one on these frames: there is no ladder.")
    say(console, found.sentence())
    if not dry_run:
        write_ladder(bundle, found)
    if picture is not None:
        from edge_sdk.workbench.draw import draw_ladder

        draw_ladder(picture, found, f"{bundle.resolve().name}: encodings for {found.big}")
        say(console, f"wrote {picture}")


def ladder_table(found: Ladder) -> Rows:
    """Every encoding that was tried, by rising bytes, on the evaluation part."""
    from edge_sdk.terminal.tables import Rows

    choice, sure = found.choice, f"{1 - found.rule.delta:.0%}"
    table = Rows(
        "Encodings, evaluated",
        (
            "encoding",
            "kB",
            "ms",
            "accuracy",
            "against originals",
            "95%",
            "p",
            f"may lose ({sure})",
            "relative gain",
            "",
        ),
        left=("",),
        caption="against originals: points of the offloaded frames; may lose: points of all frames; ms: CPU time here",
    )
    for index in sorted(range(len(choice.evaluated)), key=lambda index: choice.evaluated[index].mean_bytes):
        one = choice.evaluated[index]
        gap = one.difference
        marks = {"ladder": index in choice.ladder, "safe": index == choice.safe, "now": index == found.usual}
        table.add(
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
    return table
