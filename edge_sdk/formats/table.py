"""One CSV with a line for each frame: all that the journal knows of it, for spreadsheets and programs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from edge_sdk.durable.files import write_whole
from edge_sdk.formats.deployment import Deployment
from edge_sdk.formats.sighting import Sighting
from edge_sdk.formats.text import csv_rows, iso_time
from edge_sdk.terminal.cell import guarded

COLUMNS = (
    "frame_id",
    "captured_at",
    "deployment",
    "place",
    "source",
    "file",
    "label",
    "level",
    "kind",
    "scientific_name",
    "confidence",
    "model",
    "state",
    "final",
    "reason",
    "device_label",
    "device_confidence",
    "cloud_label",
    "cloud_confidence",
    "truth",
    "trigger",
    "event",
    "audit",
    "gain",
    "box_left",
    "box_top",
    "box_width",
    "box_height",
    "note",
    "cloud_exit",
)


def write_table(path: Path, sightings: Iterable[Sighting], deployment: Deployment) -> None:
    """Write the file, whole or not at all, line by line.

    Args:
        path: the file.
        sightings: in the order of the lines.
        deployment: its id and place stand on each line.

    Raises:
        OSError: it cannot be written.
    """
    write_whole(path, lambda fresh: _fill(fresh, sightings, deployment))


def _fill(path: Path, sightings: Iterable[Sighting], deployment: Deployment) -> None:
    with csv_rows(path, COLUMNS) as add:
        for sighting in sightings:
            add(dict(zip(COLUMNS, map(guarded, _cells(sighting, deployment)), strict=True)))


def _cells(sighting: Sighting, deployment: Deployment) -> tuple[str, ...]:
    entry = sighting.entry
    device, cloud = entry.device, entry.cloud
    box = ("",) * 4 if sighting.box is None else tuple(f"{part:.4f}" for part in sighting.box)
    return (
        sighting.frame_id,
        iso_time(sighting.captured_at, timespec="milliseconds"),
        deployment.name,
        deployment.place,
        entry.answer.source,
        sighting.medium.path,
        sighting.label or "",
        sighting.level,
        sighting.kind.value,
        sighting.scientific_name,
        f"{sighting.confidence:.4f}",
        sighting.model,
        entry.state.value,
        "yes" if entry.answer.final else "no",
        entry.answer.reason.value,
        device.label or "",
        f"{device.confidence:.4f}",
        "" if cloud is None else cloud.label or "",
        "" if cloud is None else f"{cloud.confidence or 0.0:.4f}",
        entry.truth or "",
        entry.trigger,
        sighting.event_id,
        "yes" if entry.audit else "no",
        "" if entry.gain is None else f"{entry.gain:.6f}",
        *box,
        entry.note,
        "" if cloud is None else cloud.exit,
    )
