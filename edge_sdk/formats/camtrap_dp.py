"""Camtrap DP 1.0.2 (https://camtrap-dp.tdwg.org): a data package of deployments, media and observations.

There is an observation for each medium and one for each event. What a label means to the format (`observationType`)
is said by `edge_sdk.formats.kinds`; the label itself stands in the observation's tags.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from edge_sdk import __version__
from edge_sdk.durable.files import write_whole
from edge_sdk.errors import ConfigError
from edge_sdk.formats.deployment import Deployment
from edge_sdk.formats.kinds import Kind
from edge_sdk.formats.open_groups import OpenGroups
from edge_sdk.formats.sighting import Sighting, Summary
from edge_sdk.formats.text import csv_rows, iso_time
from edge_sdk.terminal.cell import guarded

VERSION = "1.0.2"
DESCRIPTOR = "datapackage.json"
_HOME = f"https://raw.githubusercontent.com/tdwg/camtrap-dp/{VERSION}"
_METHODS = {
    "heartbeat": "timeLapse",
    **dict.fromkeys(("motion", "hold", "scene", "photo"), "activityDetection"),
}
_RANKS = frozenset({"kingdom", "phylum", "class", "order", "family", "genus", "species", "subspecies"})
_COLUMNS = {
    "deployments": (
        "deploymentID locationID locationName latitude longitude coordinateUncertainty deploymentStart deploymentEnd "
        "setupBy cameraID cameraModel cameraDelay cameraHeight cameraDepth cameraTilt cameraHeading detectionDistance "
        "timestampIssues baitUse featureType habitat deploymentGroups deploymentTags deploymentComments"
    ),
    "media": (
        "mediaID deploymentID captureMethod timestamp filePath filePublic fileName fileMediatype exifData favorite "
        "mediaComments"
    ),
    "observations": (
        "observationID deploymentID mediaID eventID eventStart eventEnd observationLevel observationType "
        "cameraSetupType scientificName count lifeStage sex behavior individualID individualPositionRadius "
        "individualPositionAngle individualSpeed bboxX bboxY bboxWidth bboxHeight classificationMethod classifiedBy "
        "classificationTimestamp classificationProbability observationTags observationComments"
    ),
}
TABLES = {name: tuple(columns.split()) for name, columns in _COLUMNS.items()}
"""The columns of each table, all of them and in the order of the schema: readers look for each."""

Row = dict[str, object]


def write_camtrap_dp(
    path: Path,
    sightings: Iterable[Sighting],
    deployment: Deployment,
    *,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> None:
    """Write a folder with `deployments.csv`, `media.csv`, `observations.csv` and, last, `datapackage.json`.

    A folder without `datapackage.json` is not finished: an earlier one goes before its tables are replaced.

    Args:
        path: the folder: an earlier package, an empty one, or none.
        sightings: by capture time, oldest first.
        deployment: where and when the camera stood; latitude and longitude are needed.
        clock: the time of writing, with a time zone.

    Raises:
        ConfigError: the place has no coordinates, the folder holds something else, or there is no frame and no period.
        OSError: it cannot be written.
    """
    if deployment.latitude is None or deployment.longitude is None:
        raise ConfigError("expected latitude and longitude of the place, which Camtrap DP needs; got none")
    check_folder(path)
    package = _Package(deployment)

    def fill(media: Path, observations: Path) -> None:
        package.fill(media, observations, sightings)
        package.check_period()
        (path / DESCRIPTOR).unlink(missing_ok=True)  # only now that all has been read

    write_whole(
        path / "media.csv",
        lambda media: write_whole(path / "observations.csv", lambda observations: fill(media, observations)),
    )
    write_whole(path / "deployments.csv", package.write_deployments)
    descriptor = msgspec.json.format(msgspec.json.encode(package.descriptor(clock())), indent=2)
    write_whole(path / DESCRIPTOR, descriptor + b"\n")


def check_folder(path: Path) -> None:
    """Refuse a folder that holds something else than a package.

    Raises:
        ConfigError: it does.
    """
    known = {DESCRIPTOR, "media", *(f"{name}.csv" for name in TABLES)}
    other = sorted(one.name for one in path.iterdir() if one.name not in known) if path.is_dir() else []
    if other:
        raise ConfigError(f"expected an earlier export, an empty folder or nothing at {path}; it has {other[0]}")


class _Package:
    """What is gathered while the frames pass by."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._first: datetime | None = None
        self._last: datetime | None = None
        self._methods: dict[str, None] = {}
        self._taxa: dict[str, str] = {}

    def fill(self, media: Path, observations: Path, sightings: Iterable[Sighting]) -> None:
        """Write both tables."""
        events, videos = OpenGroups[Summary](), OpenGroups[Summary]()
        with (
            csv_rows(media, TABLES["media"]) as add_medium,
            csv_rows(observations, TABLES["observations"]) as add_observation,
        ):

            def close(done: Iterable[Summary], level: str) -> None:
                for summary in done:
                    add_observation(self._observation(summary, level))

            for sighting in sightings:
                moment = sighting.captured_at
                self._first = moment if self._first is None else min(self._first, moment)
                self._last = moment if self._last is None else max(self._last, moment)
                close(videos.closed(moment), "media")
                close(events.closed(moment), "event")
                if not sighting.medium.is_video:
                    add_medium(self._medium(sighting))
                    add_observation(self._observation(Summary(sighting), "media"))
                elif not _grows(videos, sighting.medium.path, sighting):
                    add_medium(self._medium(sighting))
                _grows(events, sighting.event_id, sighting)
            close(videos.rest(), "media")
            close(events.rest(), "event")

    def write_deployments(self, path: Path) -> None:
        """Write the table of the one deployment."""
        start, end = self._period()
        place = self._deployment
        with csv_rows(path, TABLES["deployments"]) as add:
            where = {"locationName": place.place, "latitude": place.latitude, "longitude": place.longitude}
            when = {"deploymentStart": iso_time(start), "deploymentEnd": iso_time(end)}
            add({"deploymentID": place.name, **where, **when})

    def descriptor(self, created: datetime) -> dict[str, Any]:
        """The content of `datapackage.json`."""
        start, end = self._period()
        place = self._deployment
        software = f"edge-sdk {__version__}"
        return {
            "resources": [
                {
                    "name": name,
                    "path": f"{name}.csv",
                    "profile": "tabular-data-resource",
                    "format": "csv",
                    "mediatype": "text/csv",
                    "encoding": "utf-8",
                    "schema": f"{_HOME}/{name}-table-schema.json",
                }
                for name in TABLES
            ],
            "profile": f"{_HOME}/camtrap-dp-profile.json",
            "created": iso_time(created),
            "contributors": [{"title": place.contributor or software, "role": "contributor"}],
            "sources": [{"title": "edge-sdk", "version": __version__}],
            "project": {
                "title": place.project or place.location,
                "samplingDesign": "opportunistic",
                "captureMethod": list(self._methods) or ["activityDetection"],
                "individualAnimals": False,
                "observationLevel": ["media", "event"],
            },
            "spatial": {"type": "Point", "coordinates": [place.longitude, place.latitude]},
            "temporal": {"start": start.date().isoformat(), "end": end.date().isoformat()},
            "taxonomic": [
                {"scientificName": name, **({"taxonRank": rank} if rank in _RANKS else {})}
                for name, rank in self._taxa.items()
            ],
        }

    def check_period(self) -> None:
        """Refuse a deployment of which no time is known."""
        self._period()

    def _period(self) -> tuple[datetime, datetime]:
        start, end = self._deployment.start or self._first, self._deployment.end or self._last
        if start is None or end is None:
            raise ConfigError("expected frames, or start and end of the deployment; got none")
        return start, end

    def _medium(self, sighting: Sighting) -> Row:
        method = _METHODS.get(sighting.entry.trigger, "")
        if method:
            self._methods[method] = None
        medium = sighting.medium
        return {
            "mediaID": sighting.frame_id,
            "deploymentID": self._deployment.name,
            "captureMethod": method,
            "timestamp": iso_time(sighting.captured_at),
            "filePath": medium.uri,
            "filePublic": "false",
            "fileName": guarded(medium.path.rpartition("/")[2]),
            "fileMediatype": medium.media_type,
            "mediaComments": "" if medium.is_file or medium.is_copied else "The picture is not in this package.",
        }

    def _observation(self, summary: Summary, level: str) -> Row:
        """The observation on a medium (`level` "media"), or on an event ("event")."""
        of_medium = level == "media"
        best = summary.best if of_medium else summary.event or summary.best
        said = best.kind is not Kind.UNCLASSIFIED
        name = best.scientific_name if said else ""
        if name:
            self._taxa[name] = best.level
        row: Row = {
            "observationID": f"{summary.first.frame_id}-{level}",
            "deploymentID": self._deployment.name,
            "mediaID": summary.first.frame_id if of_medium else "",
            "eventID": best.event_id,
            "eventStart": iso_time(summary.start),
            "eventEnd": iso_time(summary.end),
            "observationLevel": level,
            "observationType": best.kind.value,
            "scientificName": name,
            "observationTags": _tags(best),
            "observationComments": guarded(best.entry.note) if of_medium else f"{summary.frames} frames",
        }
        if of_medium and best.box is not None and best.kind is not Kind.BLANK and not best.medium.is_video:
            numbers = (f"{part:.6f}" for part in best.box)
            row |= dict(zip(("bboxX", "bboxY", "bboxWidth", "bboxHeight"), numbers, strict=True))
        if said:
            row["classificationMethod"] = "machine"
            row["classifiedBy"] = guarded(best.model)
            row["classificationProbability"] = f"{best.confidence:.4f}"
        return row


def _grows(groups: OpenGroups[Summary], group: str, sighting: Sighting) -> bool:
    """Add a frame to its group; whether the group was there."""
    summary = groups.get(group, sighting.captured_at)
    if summary is None:
        groups.put(group, sighting.captured_at, Summary(sighting))
        return False
    summary.add(sighting)
    return True


def _tags(sighting: Sighting) -> str:
    """What the format has no column for, as `key:value|key:value`."""
    entry = sighting.entry
    tags = {
        "label": sighting.label,
        "level": sighting.level or None,
        "truth": entry.truth,
        "state": entry.state,
        "reason": entry.answer.reason,
    }
    pairs = [f"{key}:{value.replace('|', '/')}" for key, value in tags.items() if value is not None]
    return "|".join([*pairs, "audit"] if entry.audit else pairs)
