"""How a picture travels: one rendition, and which of a bundle's renditions a frame travels as, if it travels at all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from edge_sdk.errors import ConfigError

_Positive = Annotated[int, Meta(ge=1)]

MIN_SIDE = 16
"""Least longest side of a picture that travels, pixels."""


class Upload(msgspec.Struct, frozen=True):
    """How a picture travels to the cloud.

    Attributes:
        max_side: the longer side is scaled down to this many pixels; smaller pictures stay as they are.
        quality: of the JPEG or the lossy WebP, 1 to 100.
        format: of the picture.
        crop: width and height, in any unit: the largest centred part of these proportions travels, which is all that a
            big model sees whose own preprocessing cuts the margins off; None: the whole frame.
    """

    max_side: Annotated[int, Meta(ge=MIN_SIDE)] = 640
    quality: Annotated[int, Meta(ge=1, le=100)] = 85
    format: Literal["jpeg", "webp"] = "jpeg"
    crop: tuple[_Positive, _Positive] | None = None

    @property
    def name(self) -> str:
        """Short and unique, such as "640@85", "320@75.webp" or "224@75+crop1x1"."""
        cut = f"+crop{self.crop[0]}x{self.crop[1]}" if self.crop else ""
        return f"{self.max_side}@{self.quality}{'' if self.format == 'jpeg' else '.' + self.format}{cut}"


class Rendition(msgspec.Struct, frozen=True):
    """One way for a picture to travel, what it costs and what it is worth.

    Attributes:
        upload: the encoding.
        mean_bytes: mean size of the pictures that it was measured on, so encoded.
        relative_gain: the gain by the big model at this rendition, divided by that at the best one, in (0, 1]. Gain is
            the big model's accuracy minus the little one's on the offloaded pictures. A frame of gain `g` at the best
            rendition is worth `g * relative_gain` at this one.
    """

    upload: Upload
    mean_bytes: Annotated[float, Meta(gt=0)]
    relative_gain: Annotated[float, Meta(gt=0, le=1)]


def choose_rendition(ladder: Sequence[Rendition], gain: float, price_per_byte: float) -> int | None:
    """The rendition at which sending a frame is worth most: `gain * relative_gain - price_per_byte * mean_bytes`.

    Of equals the cheapest. As the price rises the choice only becomes cheaper; as the gain rises, only dearer.

    Args:
        ladder: one rendition or more (`Policy.ladder`).
        gain: expected rise in correctness if the big model sees this frame at the best rendition, at most 1.
        price_per_byte: what a byte is worth now, in the same unit as `gain`; 0: bytes are free.

    Returns:
        The index in `ladder`, or None: the frame is worth no more than its bytes at any rendition, and exits.

    Raises:
        ConfigError: the ladder is empty, the gain is not a finite number, or the price is negative or not finite.
    """
    if not ladder:
        raise ConfigError("expected a ladder of one rendition or more; got none")
    if not math.isfinite(gain) or not (price_per_byte >= 0 and math.isfinite(price_per_byte)):
        raise ConfigError(f"expected a gain, and a price of 0 or more; got {gain!r} and {price_per_byte!r}")
    best, most = None, 0.0
    for index, rendition in enumerate(ladder):
        worth = gain * rendition.relative_gain - price_per_byte * rendition.mean_bytes
        if worth > most:
            best, most = index, worth
    return best
