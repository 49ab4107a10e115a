"""MegaDetector's batch results, JSON, format 1.6 (https://lila.science/megadetector-output-format).

The format is one of detections. A frame on which something was seen has one detection with the region that was looked
at, or the whole picture, `[0, 0, 1, 1]`, where there is no region: a classifier of whole frames knows no boxes. Its
`conf` is the label's probability, not that of the box.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from edge_sdk import __version__
from edge_sdk.durable.files import write_whole
from edge_sdk.formats.deployment import Deployment
from edge_sdk.formats.json_file import json_object
from edge_sdk.formats.kinds import Kind
from edge_sdk.formats.sighting import Sighting
from edge_sdk.formats.text import iso_time

FORMAT_VERSION = "1.6"
WHOLE = (0.0, 0.0, 1.0, 1.0)
_CATEGORIES = {Kind.ANIMAL: "1", Kind.HUMAN: "2", Kind.VEHICLE: "3", Kind.UNKNOWN: "4"}
_NAMES = {"1": "animal", "2": "person", "3": "vehicle", "4": "other"}
_NOTHING = (Kind.BLANK, Kind.UNCLASSIFIED)
_SECOND_US, _SHORTEST_US = 1_000_000, 1_000


def write_megadetector(path: Path, sightings: Iterable[Sighting], deployment: Deployment) -> None:
    """Write the file, whole or not at all. Photos are written as they come; of videos the best frames wait in memory.

    Args:
        path: the file.
        sightings: by capture time, oldest first.
        deployment: not used: the format knows no places.

    Raises:
        OSError: it cannot be written.
    """
    write_whole(path, lambda fresh: _fill(fresh, sightings))


def _fill(path: Path, sightings: Iterable[Sighting]) -> None:
    labels: dict[str, str] = {}
    models: dict[str, None] = {}
    videos: dict[str, _Video] = {}
    with path.open("wb") as file, json_object(file) as document:
        with document.array("images") as add:
            for sighting in _one_per_photo(sightings):
                models[sighting.model] = None
                if sighting.medium.is_video:
                    videos.setdefault(sighting.medium.path, _Video(sighting)).add(sighting)
                else:
                    add(_image(sighting, labels))
            for video in videos.values():
                add(video.image(labels))
        document.member("detection_categories", _NAMES)
        document.member("classification_categories", {number: label for label, number in labels.items()})
        made = {"detector": f"edge-sdk {__version__}", "classifier": ", ".join(models)}
        document.member("info", {"format_version": FORMAT_VERSION, **made})


def _one_per_photo(sightings: Iterable[Sighting]) -> Iterator[Sighting]:
    """The latest word on each photo: one that was looked at twice has two frames of one time, the later one last."""
    moment, photos = None, dict[str, Sighting]()
    for sighting in sightings:
        if sighting.medium.is_video:
            yield sighting
            continue
        if sighting.captured_at != moment:
            yield from photos.values()
            photos.clear()
            moment = sighting.captured_at
        photos[sighting.medium.path] = sighting
    yield from photos.values()


def _image(sighting: Sighting, labels: dict[str, str]) -> dict[str, Any]:
    found = {"file": sighting.medium.path, "datetime": iso_time(sighting.captured_at), "frame_id": sighting.frame_id}
    if sighting.label is None:
        return {**found, "failure": str(sighting.entry.answer.reason), "detections": None}
    return {**found, "detections": [] if sighting.subject in _NOTHING else [_detection(sighting, labels)]}


def _detection(sighting: Sighting, labels: dict[str, str]) -> dict[str, Any]:
    named = [(labels.setdefault(label, str(len(labels))), round(chance, 4)) for label, chance in sighting.top_k]
    return {
        "category": _CATEGORIES[sighting.subject],
        "conf": round(sighting.confidence, 4),
        "bbox": sighting.box or WHOLE,
        "classifications": named,
    }


class _Video:
    """The frames of one video that were looked at: their times, and the best one of each label."""

    def __init__(self, first: Sighting) -> None:
        self._first = first
        self._us = array("q")
        self._best: dict[str, Sighting] = {}

    def add(self, sighting: Sighting) -> None:
        if sighting.label is None:
            return
        self._us.append(self._position_us(sighting))
        best = self._best.get(sighting.label)
        if sighting.subject not in _NOTHING and (best is None or sighting.confidence > best.confidence):
            self._best[sighting.label] = sighting

    def image(self, labels: dict[str, str]) -> dict[str, Any]:
        """As it stands in the file. Frames are counted from the first one that was looked at, at the shortest step."""
        found = _image(self._first, labels)
        times = sorted(set(self._us))
        step = max(_SHORTEST_US, min((after - before for before, after in pairwise(times)), default=_SECOND_US))
        numbers = dict.fromkeys(round(one / step) for one in times)
        found |= {"frame_rate": round(1e6 / step, 3), "frames_processed": list(numbers)}
        if not times:
            return found
        found.pop("failure", None)
        found["detections"] = [
            {**_detection(best, labels), "frame_number": round(self._position_us(best) / step)}
            for best in self._best.values()
        ]
        return found

    def _position_us(self, sighting: Sighting) -> int:
        return round((sighting.captured_at - self._first.captured_at).total_seconds() * 1e6)
