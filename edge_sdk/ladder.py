"""Encoding as part of the decision: which rung of a bundle's ladder a frame travels at, if it travels at all."""

from __future__ import annotations

import math
from collections.abc import Sequence

from edge_sdk.errors import ConfigError
from edge_sdk.policy import Rung


def choose_rung(ladder: Sequence[Rung], gain: float, price_per_byte: float) -> int | None:
    """The rung at which sending a frame is worth most: `gain * kept - price_per_byte * mean_bytes` is greatest.

    Of equals the cheapest. With a rising price the choice only ever goes down the ladder; with a rising gain only up.

    Args:
        ladder: one rung or more (`Policy.ladder`; `Rung` says what `kept` is).
        gain: expected rise in correctness if the big model answers this frame from its best rung, at most 1.
        price_per_byte: what a byte is worth now, in the same unit as `gain`; 0: bytes are free.

    Returns:
        The rung's index, or None: the frame is worth no more than its bytes at any rung, and exits.

    Raises:
        ConfigError: no rung, a gain that is not a number, or a price that is negative or not a number.
    """
    if not ladder:
        raise ConfigError("expected a ladder of one rung or more; got none")
    if not math.isfinite(gain) or not (price_per_byte >= 0 and math.isfinite(price_per_byte)):
        raise ConfigError(f"expected a gain, and a price of 0 or more; got {gain!r} and {price_per_byte!r}")
    best, most = None, 0.0
    for index, rung in enumerate(ladder):
        worth = gain * rung.kept - price_per_byte * rung.mean_bytes
        if worth > most:
            best, most = index, worth
    return best
