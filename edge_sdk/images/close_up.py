"""The part of a picture around a region, as a network looks at it; in integers, the same on every processor."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

from edge_sdk.errors import ImageError
from edge_sdk.images.geometry import inside
from edge_sdk.types import Image, Region


class CloseUp(NamedTuple):
    """A part of a picture, in its pixels.

    Attributes:
        x: left edge.
        y: upper edge.
        width: at least 1.
        height: at least 1.
    """

    x: int
    y: int
    width: int
    height: int

    def of(self, image: Image) -> Image:
        """The part itself, a view of `image`, `uint8 (H, W, 3)`."""
        return image[self.y : self.y + self.height, self.x : self.x + self.width]

    def centre(self, across: int, down: int) -> CloseUp:
        """The largest centred part of this one that has the proportions `across` to `down`, as `centre_crop` cuts."""
        width, height = inside(self.width, self.height, across, down)
        return CloseUp(self.x + (self.width - width) // 2, self.y + (self.height - height) // 2, width, height)

    def clip(self, region: Region) -> Region | None:
        """What of a region of the picture lies in this part, in pixels of the part; None: nothing."""
        left, top = max(region.x - self.x, 0), max(region.y - self.y, 0)
        right = min(region.x + region.width - self.x, self.width)
        bottom = min(region.y + region.height - self.y, self.height)
        if left >= right or top >= bottom:
            return None
        return replace(region, x=left, y=top, width=right - left, height=bottom - top)

    def locate(self, region: Region, width: int, height: int) -> Region | None:
        """Where a region of the picture is in this part once that is scaled to `width` x `height` pixels.

        What lies outside is cut off, and bounds between two pixels go outwards.

        Args:
            region: in pixels of the picture.
            width: of the scaled part, at least 1.
            height: likewise.

        Returns:
            in pixels of the scaled part; None where the region lies outside, or is all of the part.
        """
        cut = self.clip(region)
        if cut is None:
            return None
        right, bottom = cut.x + cut.width, cut.y + cut.height
        x, y = cut.x * width // self.width, cut.y * height // self.height
        wide, high = -(-right * width // self.width) - x, -(-bottom * height // self.height) - y
        if (wide, high) == (width, height):
            return None
        return replace(region, x=x, y=y, width=wide, height=high)


def close_up(
    region: Region, width: int, height: int, across: int, down: int, *, margin: float = 0.5, least: int = 96
) -> CloseUp:
    """The surroundings of a region: a margin on each side, then widened to the proportions `across` to `down`.

    The region stands in the middle, unless the picture's edge is near: then the part is shifted into the picture. Where
    it is larger than the picture it becomes the largest part that has the proportions; where that does not hold the
    region, the region wins and the proportions give way.

    Args:
        region: within the picture.
        width: of the picture, pixels.
        height: of the picture, pixels.
        across: with `down`, the network's proportions in any unit, 1 or more.
        down: likewise.
        margin: on each side, in widths or heights of the region.
        least: smallest width and height of the part, pixels, where the picture allows it.

    Returns:
        a part within the picture that holds the region; each side is at most a pixel off the proportions.

    Raises:
        ImageError: the region does not lie within the picture.
    """
    right, bottom = region.x + region.width, region.y + region.height
    if not (0 <= region.x < right <= width and 0 <= region.y < bottom <= height):
        raise ImageError(f"expected a region within the picture of {width}x{height} pixels; got {region}")
    wide = max(least, region.width + 2 * math.ceil(margin * region.width))
    high = max(least, region.height + 2 * math.ceil(margin * region.height))
    if wide * down < high * across:
        wide = (2 * high * across + down) // (2 * down)
    else:
        high = (2 * wide * down + across) // (2 * across)
    if wide > width or high > height:
        wide, high = inside(width, height, across, down)
        wide, high = max(wide, region.width), max(high, region.height)
    x = region.x + (region.width - wide) // 2
    y = region.y + (region.height - high) // 2
    return CloseUp(min(max(x, 0), width - wide), min(max(y, 0), height - high), wide, high)
