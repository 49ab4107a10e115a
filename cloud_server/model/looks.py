"""What of a picture the big model looks at: all of it, the surroundings of the region that came with it, or both."""

from __future__ import annotations

from enum import StrEnum

from edge_sdk.images.close_up import CloseUp, close_up
from edge_sdk.types import Image, Region


class Look(StrEnum):
    """Which parts of a picture with a region the big model looks at; one without is seen whole."""

    AUTO = "auto"
    """As `BOTH`: what measured best on the simulated camera (`benchmarks/regions.py`)."""
    FRAME = "frame"
    """The whole picture."""
    REGION = "region"
    """The surroundings of its region."""
    BOTH = "both"
    """First the one, then the other: the mean of the two's probabilities, at twice the compute."""

    @property
    def may_be_twice(self) -> bool:
        """Whether a picture with a region is looked at twice."""
        return self in (Look.AUTO, Look.BOTH)


def looks_of(picture: Image, region: Region | None, look: Look, across: int, down: int) -> tuple[Image, ...]:
    """The parts of a picture that go through the model, one pass each.

    Args:
        picture: `uint8 (H, W, 3)` RGB.
        region: where something moved, as a device says; what lies outside the picture is cut off.
        look: which parts.
        across: with `down`, the proportions of the model's input.
        down: likewise.

    Returns:
        one or two views of `picture`; one where the region is not within it, or its surroundings are all of it.
    """
    height, width = picture.shape[:2]
    inside = None if region is None else CloseUp(0, 0, width, height).locate(region, width, height)
    if inside is None or look is Look.FRAME:
        return (picture,)
    near = close_up(inside, width, height, across, down).of(picture)
    return (near,) if look is Look.REGION or near.shape == picture.shape else (picture, near)
