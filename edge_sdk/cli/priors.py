"""`edge-sdk priors`: which classes can be expected where and when."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_sdk.cli.given import refuse_together
from edge_sdk.cli.options import FILE, OLD_FILE, writable
from edge_sdk.cli.tables import read_place

if TYPE_CHECKING:
    from edge_sdk.model.bundle import Bundle
    from edge_sdk.model.priors import Box, Place
    from edge_sdk.terminal.tables import Facts, Rows

_OBSERVATIONS = "CSV with a line for each: label, month or date, and perhaps latitude and longitude, or region."
_MAP = 'JSON file {"label of the observations": "label of the bundle", "*": "all others"}.'
_REGION = "A region as a box in degrees; may be repeated, also with one name. Observations elsewhere are left out."
_GRID = "Squares of so many degrees are the regions."
_SMOOTHING = "Observations that every class is given, spread as those of all classes are."
_PLACE = "Show what is expected here: latitude,longitude in degrees, or a region's name."
_MONTHS = range(1, 13)
_MOST = 20


@click.group()
def priors() -> None:
    """Make and check priors: which classes can be expected where and when."""


@priors.command()
@click.option("--observations", required=True, multiple=True, type=OLD_FILE, help=f"{_OBSERVATIONS} May be repeated.")
@click.option("--label-map", "mapping", type=OLD_FILE, help=_MAP)
@click.option("--region", "boxes", multiple=True, metavar="NAME=SOUTH,WEST,NORTH,EAST", help=_REGION)
@click.option("--grid", type=click.FloatRange(0.01, 180), metavar="DEGREES", help=_GRID)
@click.option("--smoothing", default=10.0, show_default=True, type=click.FloatRange(0, min_open=True), help=_SMOOTHING)
@click.option("--out", required=True, type=FILE, callback=writable, help="The file to write, such as priors.json.")
def make(
    observations: tuple[Path, ...],
    mapping: Path | None,
    boxes: tuple[str, ...],
    grid: float | None,
    smoothing: float,
    out: Path,
) -> None:
    """Make priors from observations, such as exports of your own cameras or a download of GBIF.

    Months and regions of each class are counted and smoothed. `edge-sdk calibrate --priors` puts the table into a
    bundle.
    """
    import msgspec

    from edge_sdk.durable.files import write_whole
    from edge_sdk.networks.label_map import read_mapping
    from edge_sdk.terminal.text import open_console, say
    from edge_sdk.workbench.make_priors import make_priors
    from edge_sdk.workbench.observations import read_observations

    refuse_together(("--region", "--grid", "a grid makes its own regions"))
    labels = None if mapping is None else read_mapping(mapping)
    seen = (one for path in observations for one in read_observations(path, labels))
    source = ", ".join(path.name for path in observations)
    made = make_priors(seen, regions=read_boxes(boxes), grid=grid, smoothing=smoothing, source=source)
    write_whole(out, msgspec.json.format(msgspec.json.encode(made.table), indent=2) + b"\n")
    console = open_console()
    say(
        console,
        f"wrote {out}: {sum(made.used.values())} observations of {len(made.used)} classes, "
        f"{len(made.table.regions)} regions",
    )
    few = [label for label, number in made.used.items() if number < smoothing]
    if few:
        say(console, f"fewer than {smoothing:g} observations, so mostly as all classes are: {', '.join(few[:_MOST])}")
    if made.undated or made.elsewhere:
        say(console, f"left out: {made.undated} without a month, {made.elsewhere} without a place or in no region")


@priors.command()
@click.argument("bundle")
@click.option("--place", callback=read_place, metavar="PLACE", help=_PLACE)
def check(bundle: str, place: Place | str | None) -> None:
    """Check the priors of a bundle, and show what they expect.

    BUNDLE is a folder, or the name of a bundle that ships with the SDK.
    """
    from edge_sdk.errors import ConfigError
    from edge_sdk.model.bundle import open_bundle
    from edge_sdk.terminal.text import open_console, say
    from edge_sdk.workbench.taken import region_in

    opened = open_bundle(bundle)
    if opened.priors is None:
        raise ConfigError(f"expected priors.json in {opened.path}; it has none (`edge-sdk calibrate --priors` adds it)")
    console = open_console()
    console.print(_facts(opened))
    if place is None:
        return
    region = region_in(opened.priors, place)
    if region is None and opened.priors.regions:
        say(console, "the place lies in no region of the priors: nothing is expected there")
    else:
        console.print(_expected(opened, region))


def _facts(opened: Bundle) -> Facts:
    from edge_sdk.terminal.tables import Facts

    table, labels, rule = opened.priors, opened.manifest.labels, opened.policy.priors
    assert table is not None
    facts = Facts(f"priors of {opened.manifest.name}")
    facts.add("made of", table.source or "not said")
    known = [label for label in labels if label in table.classes]
    facts.add("classes", f"{len(known)} of the bundle's {len(labels)}")
    facts.add("left as the picture says", _few([label for label in labels if label not in table.classes]))
    facts.add("not in the bundle", _few([label for label in table.classes if label not in labels]))
    facts.add("regions", _few([f"{name}{'' if boxes else ' (by name)'}" for name, boxes in table.regions.items()]))
    seasonal = sum(len(set(prior.months)) > 1 for prior in table.classes.values())
    facts.add("with a season", f"{seasonal} classes")
    said = "none: they do not count until `edge-sdk calibrate` chooses it"
    if rule is not None:
        said = f"{rule.strength:.2f}, for the cloud's answers {rule.cloud:.2f}; floor {rule.floor:g}"
    facts.add("strength", said)
    return facts


def _expected(opened: Bundle, region: str | None) -> Rows:
    """How much each class counts in each month: the ratio of the priors."""
    from edge_sdk.model.priors import PriorRule, prior_ratio
    from edge_sdk.terminal.tables import Rows

    table, labels = opened.priors, opened.manifest.labels
    assert table is not None
    floor = (opened.policy.priors or PriorRule()).floor
    year = [prior_ratio(table, labels, region, month, floor) for month in _MONTHS]
    rows = Rows(
        f"Times as likely as in training{f', {region}' if region else ''}",
        ("class", *map(str, _MONTHS)),
        caption="columns are months",
    )
    order = sorted(
        (number for number, label in enumerate(labels) if label in table.classes),
        key=lambda number: -sum(month[number] for month in year),
    )
    for number in order[:_MOST]:
        rows.add(labels[number], *(f"{month[number]:.2f}" for month in year))
    return rows


def read_boxes(texts: tuple[str, ...]) -> dict[str, tuple[Box, ...]] | None:
    """Regions from NAME=SOUTH,WEST,NORTH,EAST; None where none is given."""
    from edge_sdk.model.priors import Box

    found: dict[str, tuple[Box, ...]] = {}
    for text in texts:
        name, _, numbers = text.partition("=")
        try:
            south, west, north, east = (float(one) for one in numbers.split(","))
            if not (-90 <= south <= north <= 90 and abs(west) <= 180 and abs(east) <= 180 and name):
                raise ValueError
        except ValueError:
            raise click.BadParameter(
                f"expected NAME=SOUTH,WEST,NORTH,EAST in degrees, such as alps=44,5,48,16; got {text!r}"
            ) from None
        found[name] = (*found.get(name, ()), Box(south, west, north, east))
    return found or None


def _few(names: list[str]) -> str:
    return (", ".join(names[:_MOST]) + (f" ... ({len(names)} in all)" if len(names) > _MOST else "")) or "none"
