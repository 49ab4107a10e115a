"""What a network looks at in the pictures of a source: the whole, the surroundings of the region, or both."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from edge_sdk.images.close_up import close_up
from edge_sdk.types import View
from edge_sdk.workbench.folder_source import FolderSource
from edge_sdk.workbench.labelled import LabelledImage, Source
from edge_sdk.workbench.mapped_source import MappedSource
from edge_sdk.workbench.simulated_source import SimulatedSource


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


def with_regions(source: Source) -> Source:
    """The same pictures, with the regions that the source can find."""
    if isinstance(source, SimulatedSource):
        return replace(source, regions=True)
    return source.with_regions() if isinstance(source, FolderSource) else source


def looks_of(source: Source, view: View, across: int, down: int, *, paired: bool = False) -> Source:
    """What a network looks at in a source's pictures, by the regions that they have; arguments as for `looks_at`."""
    change = partial(looks_at, view=view, across=across, down=down, paired=paired)
    name = f"{view}{'-pairs' if paired else ''}-{across}x{down}"
    return MappedSource(source, change, name, 2 if view is View.BOTH else 1)


def looked_at(source: Source, view: View, across: int, down: int, *, paired: bool = False) -> Source:
    """What a network looks at in a source's pictures, where it can say where something moved.

    Args:
        source: frames of the simulated camera, or photos of a folder: those of one place in bursts, with capture times.
        view: what the network looks at.
        across: width of its input.
        down: height of its input.
        paired: two for each picture with `BOTH`, for whoever takes the mean of both.
    """
    return source if view is View.FRAME else looks_of(with_regions(source), view, across, down, paired=paired)
