"""`edge-sdk export-data`: what a device knows of its frames, in the formats of other programs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_sdk.cli.device import device_options, open_journal, state_of
from edge_sdk.cli.given import refuse_together, refuse_without
from edge_sdk.cli.options import OLD_FILE, OLD_FOLDER, option, writable
from edge_sdk.errors import ConfigError
from edge_sdk.terminal.reports_option import ReportsPlace
from edge_sdk.terminal.text import literal

if TYPE_CHECKING:
    from edge_sdk.formats.sighting import Sighting
    from edge_sdk.store.events import EventEntry

TIME = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"])
FORMATS = ("megadetector", "camtrap-dp", "coco", "csv")

_TAXA = (
    'JSON file {"label": "scientific name"}, or, in its place, animal, human, vehicle, blank or unknown; "*" is any '
    "other label."
)
_TAXONOMY = "taxonomy.json of the bundle: scientific names of groups, where --taxa gives none."
_PICTURES = (
    "Copy the pictures that the device keeps of live cameras into the folder media beside OUT (camtrap-dp: in it)."
)
_ARCHIVE = "Export what cloud-server --archive FOLDER has kept, in place of a device's state folder."
_REPORTS = "Export what devices reported to cloud-server --reports FOLDER, or --database postgresql://..."
_DEVICE = "With --archive or --reports: the device whose frames are exported."
_PATH = click.Path(path_type=Path)


@click.command("export-data")
@click.option("--format", "form", required=True, type=click.Choice(FORMATS), help="What to write.")
@device_options()
@click.option("--archive", type=OLD_FOLDER, metavar="FOLDER", help=_ARCHIVE)
@click.option("--reports", type=ReportsPlace(), metavar="FOLDER", help=_REPORTS)
@click.option("--device", default="", metavar="NAME", help=_DEVICE)
@option("--out", required=True, type=_PATH, callback=writable, help="File to write; of camtrap-dp a folder.")
@click.option("--since", type=TIME, metavar="TIME", help="Only frames captured at or after this time (UTC).")
@click.option("--until", type=TIME, metavar="TIME", help="Only frames captured before this time (UTC).")
@click.option("--event", "event_id", metavar="ID", help="Only the frames of this event.")
@click.option("--base", type=_PATH, metavar="FOLDER", help="Write paths of photos and videos relative to this folder.")
@click.option("--pictures", is_flag=True, help=_PICTURES)
@click.option("--taxa", type=OLD_FILE, help=_TAXA)
@click.option("--taxonomy", type=OLD_FILE, help=_TAXONOMY)
@click.option(
    "--event-gap",
    "gap_s",
    default=60.0,
    show_default=True,
    type=click.FloatRange(0, 3600),
    metavar="SECONDS",
    help="Frames of one camera that are further apart belong to two events.",
)
@click.option("--deployment", "deployment_id", default="", metavar="ID", help="The deployment's id.  [default: PLACE]")
@click.option("--place", default="", metavar="NAME", help="Name of the camera's place.")
@click.option("--latitude", type=float, metavar="DEGREES", help="North of the equator, WGS84; for camtrap-dp.")
@click.option("--longitude", type=float, metavar="DEGREES", help="East of Greenwich, WGS84; for camtrap-dp.")
@click.option("--start", type=TIME, metavar="TIME", help="Begin of the deployment (UTC).  [default: the first frame]")
@click.option("--end", type=TIME, metavar="TIME", help="End of the deployment (UTC).  [default: the last frame]")
@click.option("--project", default="", metavar="TITLE", help="Title of the project.  [default: PLACE]")
@click.option("--contributor", default="", metavar="NAME", help="Who made the data.  [default: this software]")
def export_data(
    form: str,
    state: Path | None,
    archive: Path | None,
    reports: Path | str | None,
    device: str,
    out: Path,
    since: datetime | None,
    until: datetime | None,
    event_id: str | None,
    base: Path | None,
    pictures: bool,
    taxa: Path | None,
    taxonomy: Path | None,
    gap_s: float,
    deployment_id: str,
    place: str,
    latitude: float | None,
    longitude: float | None,
    start: datetime | None,
    end: datetime | None,
    project: str,
    contributor: str,
) -> None:
    """Export what a device or a server knows of its frames, also while it runs.

    The formats: MegaDetector's batch results 1.6 (JSON), a Camtrap DP 1.0.2 data package, COCO Camera Traps (JSON), or
    a CSV with a line for each frame.
    """
    from edge_sdk.formats.camtrap_dp import write_camtrap_dp
    from edge_sdk.formats.coco import write_coco
    from edge_sdk.formats.deployment import Deployment
    from edge_sdk.formats.kinds import Taxa
    from edge_sdk.formats.media import Media
    from edge_sdk.formats.megadetector import write_megadetector
    from edge_sdk.formats.server_archive import archived_entries
    from edge_sdk.formats.server_reports import reported_entries
    from edge_sdk.formats.sighting import sightings
    from edge_sdk.formats.table import write_table
    from edge_sdk.model.bundle import read_taxonomy
    from edge_sdk.networks.label_map import read_mapping

    refuse_together(("--state", "--archive", "each holds frames of its own"))
    refuse_together(("--state", "--reports", "each holds frames of its own"))
    refuse_together(("--archive", "--reports", "each holds frames of its own"))
    if reports is None:
        refuse_without(("--device", "--archive", "a state folder is of one device"))
    write = dict(zip(FORMATS, (write_megadetector, write_camtrap_dp, write_coco, write_table), strict=True))[form]
    where = Deployment(
        deployment_id, place, latitude, longitude, _utc(start), _utc(end), project=project, contributor=contributor
    )
    if out.exists() and (form == "camtrap-dp") != out.is_dir():
        raise ConfigError(f"expected a {'folder' if form == 'camtrap-dp' else 'file'} for {form}; got {out}")
    nodes = {} if taxonomy is None else read_taxonomy(taxonomy).nodes
    names = {name: node.scientific_name for name, node in nodes.items() if node.scientific_name}
    meaning = Taxa({**names, **({} if taxa is None else read_mapping(taxa))})
    copies = None if not pictures else out if form == "camtrap-dp" else out.parent
    own = Path() if isinstance(reports, str) else reports  # a database has no pictures
    media = Media(archive or own or state_of(state), base=base, copies=copies)
    event_of: Callable[[str], EventEntry | None] | None = None
    if reports is not None:
        entries = reported_entries(reports, device, since=_utc(since), until=_utc(until))
    elif archive is None:
        journal = open_journal(state)
        entries = journal.query(since=_utc(since), until=_utc(until))
        event_of = lru_cache(256)(journal.event)  # frames of an event follow one another
    else:
        entries = archived_entries(archive, device, since=_utc(since), until=_utc(until))
    found = sightings(entries, media, meaning, event_gap_s=gap_s, event_of=event_of, event=event_id)
    count = _Count()
    write(out, count.of(found), where)
    click.echo(literal(f"{out}: {count.frames} frames"))


class _Count:
    """Counts what passes by."""

    def __init__(self) -> None:
        self.frames = 0

    def of(self, frames: Iterable[Sighting]) -> Iterator[Sighting]:
        for frame in frames:
            self.frames += 1
            yield frame


def _utc(moment: datetime | None) -> datetime | None:
    return moment if moment is None or moment.tzinfo is not None else moment.replace(tzinfo=UTC)
