"""Finding regions in pictures as the device does: by bursts, and by a detector where these give none."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from edge_sdk.camera.detector import Detector
from edge_sdk.images.close_up import CloseUp
from edge_sdk.model.bundle import open_bundle
from edge_sdk.model.bundle_detector import BundleDetector, check_detector
from edge_sdk.types import MOST_REGIONS, Region
from edge_sdk.workbench.labelled import LabelledImage


class RegionFinder(Protocol):
    """Says where in a picture of a source something is. Picklable, where parts are made in other processes."""

    @property
    def key(self) -> str:
        """Identifies what is found: changes whenever that may."""

    def of(self, picture: LabelledImage) -> Region | None:
        """The region that is looked at; None: the picture is seen whole."""


class DetectedRegions:
    """Asks a detector about the pictures of which another finder gives no region, as `EdgeClassifier(detector=...)`.

    Args:
        detector: the folder of a detector's bundle, or a detector; such a one must be picklable.
        first: the other finder.

    Raises:
        BundleError: it is not the bundle of a detector.
    """

    def __init__(self, detector: str | Path | Detector, first: RegionFinder) -> None:
        self._detector, self._first = detector, first
        if isinstance(detector, str | Path):
            bundle = open_bundle(detector)
            check_detector(bundle)
            name = bundle.manifest.sha256
        else:
            name = f"{type(detector).__module__}.{type(detector).__qualname__}"
        self.key = hashlib.sha256(f"{first.key} detector {name}".encode()).hexdigest()[:16]

    def of(self, picture: LabelledImage) -> Region | None:
        """The first finder's region, else the detector's surest."""
        region = self._first.of(picture)
        if region is not None:
            return region
        detector = _opened(str(self._detector)) if isinstance(self._detector, str | Path) else self._detector
        height, width = picture.image.shape[:2]
        whole = CloseUp(0, 0, width, height)
        clipped = (whole.clip(one) for one in detector.detect(picture.image)[:MOST_REGIONS])
        return next((one for one in clipped if one is not None), None)


@lru_cache(maxsize=2)
def _opened(folder: str) -> BundleDetector:
    """A detector cannot travel to another process: each opens it once."""
    return BundleDetector(folder)
