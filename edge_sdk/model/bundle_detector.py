"""A detector in a bundle: a network that boxes subjects, in the device's own runtime.

Its manifest says `task: "detect"`. The network has one output of N candidates, `float32 (1, N * (4 + C))`: for each the
left, top, right and bottom edge, as parts of the input's width and height, and a score in [0, 1] for each of the C
labels. Suppression of candidates that box one subject is not part of the network.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edge_sdk.errors import BundleError, ConfigError
from edge_sdk.images.close_up import CloseUp
from edge_sdk.model.bundle import Bundle, Manifest, Task, open_bundle
from edge_sdk.model.inputs import place
from edge_sdk.model.network import Network
from edge_sdk.model.runtime import Runtime
from edge_sdk.model.suppression import suppress
from edge_sdk.types import MOST_REGIONS, Image, Region, check_pixels


class BundleDetector:
    """A `Detector` that runs the network of a bundle.

    Args:
        bundle: the bundle, or its folder.
        least_score: score in (0, 1] from which a candidate counts; its score is that of its likeliest label.
        overlap: intersection over union above which two candidates box one subject, in [0, 1].
        threads: processor threads that one pass uses.
        runtime: what runs the network; None: ExecuTorch.

    Raises:
        BundleError: it is not the bundle of a detector, or cannot be run, as in `LittleModel`.
        ConfigError: a value is out of range.
        RuntimeMissing: there is no ExecuTorch runtime.
    """

    def __init__(
        self,
        bundle: Bundle | str | Path,
        *,
        least_score: float = 0.3,
        overlap: float = 0.5,
        threads: int = 1,
        runtime: Runtime | None = None,
    ) -> None:
        if not 0 < least_score <= 1 or not 0 <= overlap <= 1:
            raise ConfigError(f"expected least_score in (0, 1], overlap in [0, 1]; got {least_score}, {overlap}")
        self.bundle = bundle if isinstance(bundle, Bundle) else open_bundle(bundle)
        check_detector(self.bundle)
        self._least_score, self._overlap = least_score, overlap
        self._network = Network(self.bundle, threads=threads, runtime=runtime)

    @property
    def manifest(self) -> Manifest:
        """What the network is."""
        return self.bundle.manifest

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one pass."""
        return self.manifest.macs

    def detect(self, image: Image) -> tuple[Region, ...]:
        """At most four subjects, the surest first, in pixels of a picture `uint8 (H, W, 3)` RGB.

        Raises:
            ImageError: it is not such a picture.
        """
        image, spec = check_pixels(image), self.manifest.input
        found = self._network.run(image).reshape(-1, 4 + len(self.manifest.labels))
        boxes, scores = found[:, :4].clip(0, 1), found[:, 4:].max(axis=1)
        counts = np.isfinite(found).all(axis=1) & (boxes[:, :2] < boxes[:, 2:]).all(axis=1)
        counts &= scores >= self._least_score
        boxes, scores = boxes[counts], scores[counts]
        kept = suppress(boxes, scores, self._overlap, MOST_REGIONS)
        cut, left, top, width, height = place(image, spec)
        across, down = cut.shape[1] / width, cut.shape[0] / height
        x0, y0 = (image.shape[1] - cut.shape[1]) // 2, (image.shape[0] - cut.shape[0]) // 2
        whole, regions = CloseUp(0, 0, image.shape[1], image.shape[0]), []
        for edges, score in zip(boxes[kept].tolist(), scores[kept].tolist(), strict=True):
            x, right = (round(x0 + (edge * spec.width - left) * across) for edge in edges[::2])
            y, bottom = (round(y0 + (edge * spec.height - top) * down) for edge in edges[1::2])
            region = whole.clip(Region(x, y, max(1, right - x), max(1, bottom - y), min(1.0, score)))
            regions += [] if region is None else [region]
        return tuple(regions)


def check_detector(bundle: Bundle) -> None:
    """Check what a bundle's network is for; it is not loaded.

    Raises:
        BundleError: it is not the bundle of a detector.
    """
    if (task := bundle.manifest.task) is not Task.DETECT:
        raise BundleError(f"{bundle.path}: expected the bundle of a detector; it has task {task.value!r}")
