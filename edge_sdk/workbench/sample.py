"""A sample of a source: some pictures spread over all of its classes, and others held out to measure on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, islice
from pathlib import Path

from edge_sdk.types import View
from edge_sdk.workbench.data import measuring_split, open_source
from edge_sdk.workbench.folder_source import FolderSource
from edge_sdk.workbench.labelled import LabelledImage, Source, Split
from edge_sdk.workbench.looks import looks_at, with_regions
from edge_sdk.workbench.simulated_source import SimulatedSource

_FROM_ONE_SEED = 20  # pictures of one place of the simulated camera, where a sample needs few


@dataclass(frozen=True, slots=True)
class Sample:
    """Two sets of pictures that share none.

    Attributes:
        pictures: the sample, spread over all classes.
        held_out: other pictures, in the source's own mix of classes.
    """

    pictures: Pictures
    held_out: Pictures


@dataclass(frozen=True, slots=True)
class Pictures:
    """Pictures that are read when they are iterated over; `operator.length_hint` tells the largest number of them."""

    read: Callable[[], Iterator[LabelledImage]]
    most: int

    def __iter__(self) -> Iterator[LabelledImage]:
        return self.read()

    def __length_hint__(self) -> int:
        return self.most


def draw_sample(
    address: str,
    limit: int,
    held_out: int,
    seed: int = 0,
    *,
    view: View = View.FRAME,
    across: int = 1,
    down: int = 1,
) -> Sample:
    """Draw pictures to work on and pictures to measure on; the same seed draws the same ones on any machine.

    Of a folder, those held out are outside its training split, so `edge-sdk train` has not seen them either; of the
    simulated camera they are of the test seeds. Files that cannot be read are logged, and others take their place.

    Args:
        address: a folder, or `simulated://...` (`edge_sdk.workbench.data`).
        limit: largest number of pictures of the sample.
        held_out: largest number of pictures held out.
        seed: of the draw.
        view: what of a picture is looked at; with `BOTH` the whole and the surroundings of a region are a picture each.
        across: width of the network's input, whose proportions the surroundings have.
        down: height of it.

    Raises:
        WorkbenchError: nothing there, or an option that cannot be used.
    """
    source = open_source(address, measuring_split(address))

    def seen(found: Pictures, most: int) -> Pictures:
        if view is View.FRAME:
            return found
        looks = partial(looks_at, view=view, across=across, down=down)
        return Pictures(lambda: islice(chain.from_iterable(map(looks, found)), most), most)

    source = source if view is View.FRAME else with_regions(source)
    if isinstance(source, FolderSource):
        mine, others = source.deal(seed)
        return Sample(seen(_of_files(source, mine, limit), limit), seen(_of_files(source, others, held_out), held_out))
    assert isinstance(source, SimulatedSource)
    others_at = replace(source, split=Split.TEST)
    return Sample(seen(_of_places(source, limit), limit), seen(_of_places(others_at, held_out), held_out))


def _of_files(source: FolderSource, files: list[Path], limit: int) -> Pictures:
    return Pictures(lambda: islice(source.read_files(files), limit), min(limit, len(files)))


def _of_places(source: SimulatedSource, limit: int) -> Pictures:
    return Pictures(lambda: read_spread(source, limit), min(limit, sum(map(source.size, range(source.parts)))))


def read_spread(source: Source, limit: int, seed: int = 0) -> Iterator[LabelledImage]:
    """At most `limit` pictures, spread over the classes of a folder or the places of the simulated camera."""
    if isinstance(source, FolderSource):
        yield from islice(source.read_files(source.in_turn(seed)), limit)
        return
    wanted = max(1, min(source.parts, limit // _FROM_ONE_SEED))
    parts = [index * source.parts // wanted for index in range(wanted)]
    taken = 0
    for place, part in enumerate(parts):
        share = -(-(limit - taken) // (wanted - place))
        for picture in islice(source.read(part), share):
            taken += 1
            yield picture
