"""Regions of photos from a file of boxes: MegaDetector's batch results, JSON (https://lila.science/megadetector-output-format)."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from edge_sdk.errors import WorkbenchError
from edge_sdk.images.close_up import CloseUp
from edge_sdk.types import Region
from edge_sdk.workbench.labelled import LabelledImage
from edge_sdk.workbench.photo_list import Photo

_log = logging.getLogger(__name__)
LEAST_CONFIDENCE = 0.2
"""Confidence from which a box counts: that which MegaDetector's authors take for its fifth version."""


class _Detection(msgspec.Struct):
    conf: float
    bbox: tuple[float, float, float, float]


class _Image(msgspec.Struct):
    file: str
    detections: list[_Detection] | None = None


class _Results(msgspec.Struct):
    images: list[_Image]


class BoxRegions:
    """The surest box of each photo, of whatever category. A photo that the file lacks has no region.

    A photo is found by its path: the file's `file` is the end of it, as where the class folders lie above the folder
    that MegaDetector was run on, or all but the class folder.

    Args:
        file: the results.
        photos: all of a source.
        least_confidence: from which a box counts.

    Raises:
        WorkbenchError: the file is none of MegaDetector's results, or knows none of the photos.
    """

    def __init__(self, file: Path, photos: Iterable[Photo], *, least_confidence: float = LEAST_CONFIDENCE) -> None:
        try:
            data = file.read_bytes()
            results = msgspec.json.decode(data, type=_Results)
        except (OSError, msgspec.DecodeError) as error:
            raise WorkbenchError(f"expected MegaDetector's results (JSON) in {file}; {error}") from error
        known = {_plain(image.file): image for image in results.images}
        found = {photo.name: next((end for end in _ends(photo) if end in known), "") for photo in photos}
        times = Counter(found.values())
        self._boxes: dict[str, tuple[float, float, float, float, float]] = {}
        lacking = failed = 0
        for name, end in found.items():
            if not end or times[end] > 1:
                lacking += 1
                continue
            detections = known[end].detections
            failed += detections is None
            surest = max(detections or (), key=lambda one: one.conf, default=None)
            if surest is not None and surest.conf >= least_confidence:
                self._boxes[name] = *surest.bbox, surest.conf
        if lacking == len(found):
            raise WorkbenchError(
                f"expected boxes of these photos in {file}; it knows none of them by its path: it has "
                f"{results.images[0].file if results.images else 'no images'}, they are as {next(iter(found), 'none')}"
            )
        if lacking or failed:
            _log.warning(
                "%s: of %d photos, %d are not in it or cannot be told apart by their paths, and on %d the detector "
                "failed; these are seen whole",
                *(file, len(found), lacking, failed),
            )
        self.key = hashlib.sha256(data + f" {least_confidence}".encode()).hexdigest()[:16]

    def of(self, picture: LabelledImage) -> Region | None:
        """The surest box, in pixels, within the picture."""
        known = self._boxes.get(picture.name)
        if known is None:
            return None
        left, top, across, down, score = known
        height, width = picture.image.shape[:2]
        x, y, right, bottom = (
            round(part * side)
            for part, side in zip((left, top, left + across, top + down), (width, height) * 2, strict=True)
        )
        box = Region(x, y, max(1, right - x), max(1, bottom - y), min(1.0, score))
        return CloseUp(0, 0, width, height).clip(box)


def _plain(file: str) -> str:
    return file.replace("\\", "/").removeprefix("./")


def _ends(photo: Photo) -> Iterator[str]:
    """The ends of a photo's path, the longest first, each also without the folder of its class."""
    parts = photo.path.absolute().as_posix().split("/")
    inner = photo.name.split("/")
    without = [*parts[: -len(inner)], *inner[1:]] if len(inner) > 1 else parts
    for start in range(len(parts)):
        yield "/".join(parts[start:])
        if start < len(without):
            yield "/".join(without[start:])
