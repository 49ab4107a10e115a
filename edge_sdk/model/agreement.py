"""How often frames, or events, that exit were answered otherwise than by the big model, as calibration found it."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated

import msgspec
from msgspec import Meta


class Agreement(msgspec.Struct, frozen=True, kw_only=True):
    """How often the frames that exit were answered otherwise than by the big model, on frames that calibration kept
    aside to measure on. In a rule of events, all of it is of events.

    Attributes:
        edges: K rising confidences between K + 1 bands of the frames that exited; one on an edge is in the band above.
        exits: frames that exited in each of the K + 1 bands.
        differ: of these, those that the big model answered otherwise.
        at_most: upper bound on the share that differs among new frames that exit; where `places` is above 0, one that
            all places but `delta` of them keep.
        delta: probability, over the draw of the calibration frames, with which that bound fails.
        places: that these frames are of; 0: not known, the bound takes each frame as one by itself.
        alike: correlation of two frames of one place.
    """

    edges: tuple[float, ...]
    exits: tuple[int, ...]
    differ: tuple[int, ...]
    at_most: Annotated[float, Meta(ge=0, le=1)]
    delta: Annotated[float, Meta(gt=0, lt=1)] = 0.05
    places: Annotated[int, Meta(ge=0)] = 0
    alike: Annotated[float, Meta(ge=0, lt=1)] = 0.0

    def __post_init__(self) -> None:
        if any(not a < b for a, b in pairwise(self.edges)):
            raise ValueError(f"expected rising `edges`; got {list(self.edges)}")
        if len(self.exits) != len(self.edges) + 1 or len(self.differ) != len(self.exits) or sum(self.exits) == 0:
            raise ValueError(f"expected {len(self.edges) + 1} `exits` and `differ` each, and one exit at least")
        if any(not 0 <= some <= of for some, of in zip(self.differ, self.exits, strict=True)):
            raise ValueError(f"expected `differ` from 0 to `exits`; got {list(self.differ)} of {list(self.exits)}")
