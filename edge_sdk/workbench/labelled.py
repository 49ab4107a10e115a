"""A labelled picture, the splits, and the protocol that every source of labelled pictures follows."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from edge_sdk.types import Image, Region


class Split(StrEnum):
    """What a picture may be used for. ALL is a whole folder, or the test seeds of the simulated camera."""

    TRAIN = "train"
    VAL = "val"
    CALIBRATION = "calibration"
    TEST = "test"
    ALL = "all"


@dataclass(frozen=True, slots=True, eq=False)
class LabelledImage:
    """A picture with its label and origin.

    Attributes:
        image: `uint8 (H, W, 3)` RGB, full size.
        label: the true class, or None.
        source: the file, or the camera's address.
        group: name under which results are reported, such as the light; "" if unknown.
        name: unique within the source: the file's path below the folder, or camera seed and number.
        region: where something moved; None: unknown, or nowhere.
        place: where it was taken: the camera's address, or its folder below that of the class; "" if unknown.
        moved_at: capture time, seconds since 1970, of a picture that belongs to a visit; NaN: the time is unknown, or
            nothing moved.
    """

    image: Image
    label: str | None
    source: str = ""
    group: str = ""
    name: str = ""
    region: Region | None = None
    place: str = ""
    moved_at: float = math.nan


class Source(Protocol):
    """Labelled pictures in parts. Each part can be read by itself and always holds the same pictures."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names, sorted as the source has them; empty where there are none."""

    @property
    def parts(self) -> int:
        """Number of parts."""

    @property
    def key(self) -> str:
        """Identifies the content: changes whenever the pictures do."""

    def size(self, part: int) -> int:
        """Largest number of pictures in a part."""

    def read(self, part: int) -> Iterator[LabelledImage]:
        """The pictures of one part."""


def read_all(source: Source) -> Iterator[LabelledImage]:
    """All pictures of a source, in order."""
    for part in range(source.parts):
        yield from source.read(part)
