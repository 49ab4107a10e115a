"""COCO Camera Traps, JSON (https://lila.science/coco-camera-traps).

An image has an annotation with the label that was said of it and its `score`; events are the format's sequences.
Regions are in pixels of the picture (`bbox`), and a frame without one, or with nothing in it, has no box.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from edge_sdk import __version__
from edge_sdk.durable.files import write_whole
from edge_sdk.formats.deployment import Deployment
from edge_sdk.formats.json_file import json_object
from edge_sdk.formats.kinds import Kind
from edge_sdk.formats.open_groups import OpenGroups
from edge_sdk.formats.sighting import Sighting
from edge_sdk.formats.text import iso_time

EMPTY = "empty"
"""The format's name of a picture with nothing on it, category 0."""


def write_coco(path: Path, sightings: Iterable[Sighting], deployment: Deployment) -> None:
    """Write the file, whole or not at all. Images of an event wait in memory until its length is known.

    Args:
        path: the file. Annotations are collected beside it and joined to it.
        sightings: by capture time, oldest first.
        deployment: its place is each image's location.

    Raises:
        OSError: it cannot be written.
    """
    write_whole(path, lambda fresh: _fill(fresh, sightings, deployment))


def _fill(path: Path, sightings: Iterable[Sighting], deployment: Deployment) -> None:
    categories = {EMPTY: 0}
    events = OpenGroups[list[dict[str, Any]]]()
    aside = path.with_name(f"{path.name}.annotations")
    try:
        with path.open("wb") as file, aside.open("w+b") as annotations, json_object(file) as document:
            with document.array("images") as add:

                def add_event(images: list[dict[str, Any]]) -> None:
                    for number, image in enumerate(images):
                        add({**image, "frame_num": number, "seq_num_frames": len(images)})

                for sighting in sightings:
                    for closed in events.closed(sighting.captured_at):
                        add_event(closed)
                    images = events.get(sighting.event_id, sighting.captured_at)
                    if images is None:
                        images = []
                        events.put(sighting.event_id, sighting.captured_at, images)
                    images.append(_image(sighting, deployment))
                    if sighting.label is not None:
                        annotations.write(msgspec.json.encode(_annotation(sighting, categories)) + b"\n")
                for left in events.rest():
                    add_event(left)
            annotations.seek(0)
            with document.array("annotations") as add:
                for line in annotations:
                    add(msgspec.Raw(line.rstrip(b"\n")))
            document.member("categories", [{"id": number, "name": name} for name, number in categories.items()])
            about = {"version": "1.0", "description": f"Frames of {deployment.location}"}
            document.member("info", {**about, "contributor": deployment.contributor or f"edge-sdk {__version__}"})
    finally:
        aside.unlink(missing_ok=True)


def _image(sighting: Sighting, deployment: Deployment) -> dict[str, Any]:
    found: dict[str, Any] = {
        "id": sighting.frame_id,
        "file_name": sighting.medium.path,
        "datetime": iso_time(sighting.captured_at),
        "location": deployment.location,
        "seq_id": sighting.event_id,
    }
    if (size := _size(sighting)) is not None:
        found |= dict(zip(("width", "height"), size, strict=True))
    if sighting.entry.truth is not None:
        found["truth"] = sighting.entry.truth
    return found


def _annotation(sighting: Sighting, categories: dict[str, int]) -> dict[str, Any]:
    name = EMPTY if sighting.subject is Kind.BLANK else sighting.label or EMPTY
    found: dict[str, Any] = {
        "id": f"{sighting.frame_id}-0",
        "image_id": sighting.frame_id,
        "category_id": categories.setdefault(name, len(categories)),
        "score": round(sighting.confidence, 4),
        "model": sighting.model,
        "final": sighting.entry.answer.final,
        "sequence_level_annotation": False,
    }
    if sighting.box is not None and sighting.subject is not Kind.BLANK and (size := _size(sighting)) is not None:
        found["bbox"] = [round(part * side, 1) for part, side in zip(sighting.box, (*size, *size), strict=True)]
    return found


def _size(sighting: Sighting) -> tuple[int, int] | None:
    """Of the copy, else of the frame where the journal knows it."""
    return sighting.medium.size if sighting.medium.is_copied else sighting.entry.frame_size
