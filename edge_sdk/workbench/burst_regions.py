"""Regions of photos: where those of one place differ from the bursts before, as on the device."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

from edge_sdk.camera.burst_background import BurstBackground
from edge_sdk.errors import ImageError
from edge_sdk.images.exif import parse_exif
from edge_sdk.images.header import read_header
from edge_sdk.images.read import read_image
from edge_sdk.types import Frame, Region
from edge_sdk.workbench.labelled import LabelledImage
from edge_sdk.workbench.photo_list import Photo


class BurstRegions:
    """Finds regions place by place, when they are first asked for: each photo of a place is then decoded once.

    Photos of a place are taken in the order of their capture times and, within a second, of the camera's numbers.

    Args:
        photos: all of a source. Those without a place or a capture time have no region.
    """

    def __init__(self, photos: Iterable[Photo]) -> None:
        self._places: dict[str, list[Photo]] = {}
        digest = hashlib.sha256(b"bursts 2\n")
        for photo in photos:
            if photo.place:
                self._places.setdefault(photo.place, []).append(photo)
            stat = photo.path.stat()
            facts = f"{photo.name} {photo.place} {photo.taken} {stat.st_size} {stat.st_mtime_ns}\n"
            digest.update(facts.encode(errors="surrogateescape"))
        self.key = digest.hexdigest()[:16]
        self._found: dict[str, Mapping[str, Region]] = {}

    def of(self, picture: LabelledImage) -> Region | None:
        """The largest region of a photo; None: nothing differs, or nothing is known of its scene."""
        place = picture.place
        if place not in self._places:
            return None
        if place not in self._found:
            self._found[place] = self._find(place)
        return self._found[place].get(picture.name)

    def _find(self, place: str) -> dict[str, Region]:
        dated = []
        for photo in self._places[place]:
            try:
                taken = photo.taken_at(parse_exif(read_header(photo.path.read_bytes()).exif))
            except (ImageError, OSError):  # whoever reads the photos says so
                continue
            if taken is not None:
                dated.append((taken, photo.order, photo.name, photo))
        background, found = BurstBackground(), dict[str, Region]()
        for taken, _, name, photo in sorted(dated, key=lambda one: one[:3]):
            try:
                image = read_image(photo.path).image
            except ImageError:
                continue
            regions = background.regions(Frame(image, taken, f"{place}/photo.jpg", still=True))
            if regions:
                found[name] = regions[0]
        return found
