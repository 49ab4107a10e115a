"""What a network looks at in the pictures of a source: the whole, the surroundings of the region, or both."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from edge_sdk.camera.detector import Detector
from edge_sdk.errors import WorkbenchError
from edge_sdk.images.close_up import close_up
from edge_sdk.types import View
from edge_sdk.workbench.box_regions import BoxRegions
from edge_sdk.workbench.burst_regions import BurstRegions
from edge_sdk.workbench.folder_source import FolderSource
from edge_sdk.workbench.labelled import LabelledImage, Source
from edge_sdk.workbench.mapped_source import MappedSource
from edge_sdk.workbench.region_finder import DetectedRegions
from edge_sdk.workbench.simulated_source import SimulatedSource


@dataclass(frozen=True, slots=True)
class Finding:
    """How regions of photos are found: by the bursts of a place before, as on the device, unless `boxes` are given.

    Attributes:
        detector: asked where the bursts give no region: a bundle's folder, or a detector, as the device's.
        boxes: file of MegaDetector's results, whose boxes are the regions.
    """

    detector: str | Path | Detector | None = None
    boxes: Path | None = None

    def __post_init__(self) -> None:
        if self.detector is not None and self.boxes is not None:
            raise WorkbenchError("expected a detector or boxes, each of which says where something is; got both")

    @classmethod
    def given(cls, detector: str | Path | None, boxes: Path | None) -> Finding | None:
        """None where neither is given."""
        return None if detector is None and boxes is None else cls(detector, boxes)


def looks_at(
    picture: LabelledImage, view: View, across: int, down: int, *, paired: bool = False
) -> Iterator[LabelledImage]:
    """What a network looks at in one picture, which is seen whole where it has no region.

    Args:
        picture: with its region.
        view: what is looked at: with `BOTH` the surroundings of the region follow the whole picture.
        across: width of the network's input, whose proportions the surroundings have.
        down: height of it.
        paired: with `BOTH` each picture gives two, also one without a region: the whole twice.
    """
    near = _near(picture, across, down)
    if view is not View.REGION:
        yield picture
    if view is View.REGION or (view is View.BOTH and (paired or near is not picture)):
        yield near


def _near(picture: LabelledImage, across: int, down: int) -> LabelledImage:
    """The surroundings of a picture's region; the picture where there is none, or they are all of it."""
    if picture.region is None:
        return picture
    height, width = picture.image.shape[:2]
    part = close_up(picture.region, width, height, across, down)
    if (part.width, part.height) == (width, height):
        return picture
    return replace(picture, image=part.of(picture.image), name=f"{picture.name} near", region=None)


def with_regions(source: Source, finding: Finding | None = None) -> Source:
    """The same pictures, with the regions that are found in them; of the simulated camera in balanced frames too."""
    if isinstance(source, SimulatedSource) and finding is None:
        return replace(source, regions=True)
    return photo_regions(source, finding)


def photo_regions(source: Source, finding: Finding | None = None) -> Source:
    """The same pictures, photos with the regions that are found in them; other sources have theirs.

    Raises:
        WorkbenchError: a detector or boxes for what are no photos, or what cannot be used.
    """
    if isinstance(source, FolderSource):
        finding = finding or Finding()
        if finding.boxes is not None:
            return source.with_regions(BoxRegions(finding.boxes, source.photos))
        bursts = BurstRegions(source.photos)
        return source.with_regions(bursts if finding.detector is None else DetectedRegions(finding.detector, bursts))
    if finding is not None:
        raise WorkbenchError("expected photos, for a detector or boxes; the simulated camera has regions of its own")
    return source


def looks_of(source: Source, view: View, across: int, down: int, *, paired: bool = False) -> Source:
    """What a network looks at in a source's pictures, by the regions that they have; arguments as for `looks_at`."""
    change = partial(looks_at, view=view, across=across, down=down, paired=paired)
    name = f"{view}{'-pairs' if paired else ''}-{across}x{down}"
    return MappedSource(source, change, name, 2 if view is View.BOTH else 1)


def looked_at(
    source: Source, view: View, across: int, down: int, *, paired: bool = False, finding: Finding | None = None
) -> Source:
    """What a network looks at in a source's pictures, where it can say where something moved.

    Args:
        source: frames of the simulated camera, or photos of a folder: those of one place in bursts, with capture times.
        view: what the network looks at.
        across: width of its input.
        down: height of its input.
        paired: two for each picture with `BOTH`, for whoever takes the mean of both.
        finding: how regions are found; None: as `Finding()`, and as the simulated camera has them.

    Raises:
        WorkbenchError: as `photo_regions`.
    """
    return source if view is View.FRAME else looks_of(with_regions(source, finding), view, across, down, paired=paired)
