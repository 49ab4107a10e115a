"""What a network looks at in the pictures of a source: the whole, the surroundings of the region, or both."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from edge_sdk.images.close_up import close_up
from edge_sdk.types import View
from edge_sdk.workbench.folder_source import FolderSource
from edge_sdk.workbench.labelled import LabelledImage, Source
from edge_sdk.workbench.simulated_source import SimulatedSource


@dataclass(frozen=True, slots=True)
class Looks:
    """A source whose pictures are those that a network looks at. A picture without a region is seen whole.

    Attributes:
        source: of the pictures, with their regions.
        view: what is looked at: with `BOTH` the surroundings of a region follow the whole picture.
        across: of the network's input, to which the surroundings have their proportions.
        down: likewise.
        paired: with `BOTH` each picture gives two, also one without a region: the whole twice.
    """

    source: Source
    view: View
    across: int
    down: int
    paired: bool = False

    @property
    def labels(self) -> tuple[str, ...]:
        """The source's."""
        return self.source.labels

    @property
    def parts(self) -> int:
        """The source's."""
        return self.source.parts

    @property
    def key(self) -> str:
        """Changes with the source, the view and the proportions."""
        return f"{self.source.key}-{self.view}{'-pairs' if self.paired else ''}-{self.across}x{self.down}"

    def size(self, part: int) -> int:
        """Largest number of pictures in a part."""
        return self.source.size(part) * (2 if self.view is View.BOTH else 1)

    def read(self, part: int) -> Iterator[LabelledImage]:
        """What is looked at in one part."""
        for picture in self.source.read(part):
            yield from looks_at(picture, self.view, self.across, self.down, paired=self.paired)


def looks_at(
    picture: LabelledImage, view: View, across: int, down: int, *, paired: bool = False
) -> Iterator[LabelledImage]:
    """What a network looks at in one picture; the arguments are those of `Looks`."""
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


def looked_at(source: Source, view: View, across: int, down: int, *, paired: bool = False) -> Source:
    """What a network looks at in a source's pictures, where it can say where something moved.

    Args:
        source: frames of the simulated camera, or photos of a folder: those of one place in bursts, with capture times.
        view: what the network looks at.
        across: width of its input.
        down: height of its input.
        paired: two for each picture with `BOTH`, for whoever takes the mean of both.
    """
    if view is View.FRAME:
        return source
    return Looks(with_regions(source), view, across, down, paired)
