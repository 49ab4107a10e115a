"""The seam between the SDK and whatever finds subjects in a single picture, where nothing is known of motion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from edge_sdk.types import Image, Region


@runtime_checkable
class Finder(Protocol):
    """Finds boxes in a picture, such as the faces that `Blur` makes out. Each `Detector` is one."""

    def detect(self, image: Image) -> Sequence[Region]:
        """The boxes, in pixels of `image`, `uint8 (H, W, 3)` RGB."""
        ...


class Detector(Finder, Protocol):
    """Finds subjects in a picture. `BundleDetector` runs the network of a bundle.

    `EdgeClassifier(detector=...)` asks it on the frames for which the motion gate gives no region, from one thread.
    """

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one call, which the compute budget is charged for; 0: nothing."""

    def detect(self, image: Image) -> tuple[Region, ...]:
        """The subjects, the most important first; none: there is nothing, or it cannot tell.

        Args:
            image: `uint8 (H, W, 3)` RGB.

        Returns:
            regions in pixels of `image`; `score` is how sure the detector is, in (0, 1]. What lies outside the picture
            is cut off by the caller, and of more than four the first four count.
        """
