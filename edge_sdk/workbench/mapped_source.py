"""A source whose pictures are made of another's, one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from edge_sdk.workbench.labelled import LabelledImage, Source


@dataclass(frozen=True, slots=True)
class MappedSource:
    """The pictures that `change` makes of each picture of a source.

    Attributes:
        source: of the pictures.
        change: gives none, one or several pictures for one; picklable, where parts are made in other processes.
        name: says what `change` does; part of the key.
        most: largest number of pictures that one gives.
    """

    source: Source
    change: Callable[[LabelledImage], Iterable[LabelledImage]]
    name: str
    most: int = 1

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
        """Changes with the source and with `name`."""
        return f"{self.source.key}-{self.name}"

    def size(self, part: int) -> int:
        """Largest number of pictures in a part."""
        return self.source.size(part) * self.most

    def read(self, part: int) -> Iterator[LabelledImage]:
        """What is made of the pictures of one part."""
        for picture in self.source.read(part):
            yield from self.change(picture)
