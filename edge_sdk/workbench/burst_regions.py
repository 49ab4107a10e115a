"""Regions of the photos in a folder: where those of one place differ from the bursts before, as on the device."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path

from edge_sdk.camera.burst_background import BurstBackground
from edge_sdk.errors import ImageError
from edge_sdk.images.exif import parse_exif
from edge_sdk.images.header import read_header
from edge_sdk.images.read import read_image
from edge_sdk.types import Frame, Region


class BurstRegions:
    """Finds regions place by place, when they are first asked for: each photo of a place is then decoded once.

    Args:
        photos: name, place and file of each. Photos without a place or a capture time have no region.
    """

    def __init__(self, photos: Iterable[tuple[str, str, Path]]) -> None:
        self._places: dict[str, list[tuple[str, Path]]] = {}
        for name, place, path in photos:
            if place:
                self._places.setdefault(place, []).append((name, path))
        self._found: dict[str, Mapping[str, Region]] = {}

    def of(self, name: str, place: str) -> Region | None:
        """The largest region of a photo; None: nothing differs, or nothing is known of its scene."""
        if place and place not in self._found:
            self._found[place] = self._find(place)
        return self._found[place].get(name) if place else None

    def _find(self, place: str) -> dict[str, Region]:
        dated = [(taken, name, path) for name, path in self._places.get(place, ()) if (taken := _taken_at(path))]
        background, found = BurstBackground(), dict[str, Region]()
        for taken, name, path in sorted(dated):
            try:
                image = read_image(path).image
            except ImageError:  # whoever reads the folder says so
                continue
            regions = background.regions(Frame(image, taken, f"{place}/photo.jpg", still=True))
            if regions:
                found[name] = regions[0]
        return found


def _taken_at(path: Path) -> datetime | None:
    try:
        return parse_exif(read_header(path.read_bytes()).exif).captured_at
    except (ImageError, OSError):
        return None
