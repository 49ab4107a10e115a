"""How fast one device may send: a token bucket for each."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

from edge_sdk.errors import ConfigError, EdgeError

MAX_DEVICES = 10_000


class RateLimited(EdgeError):
    """A device sends faster than is allowed."""


class RateLimiter:
    """Admits frames of each device at a steady rate, and a burst above it; used on the event loop alone.

    Args:
        frames_per_s: the steady rate of one device; None: no limit.
        burst: frames that may come at once after a pause.
        max_devices: devices that are remembered; beyond them, the one idle for longest is forgotten.
        clock: seconds, monotonic.

    Raises:
        ConfigError: a number is not above 0.
    """

    def __init__(
        self,
        frames_per_s: float | None,
        burst: int,
        *,
        max_devices: int = MAX_DEVICES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if (frames_per_s is not None and frames_per_s <= 0) or burst < 1:
            raise ConfigError(
                f"expected a rate above 0 and a burst of at least 1; got {frames_per_s} frames/s, burst {burst}"
            )
        self._rate, self._burst, self._max_devices, self._clock = frames_per_s, burst, max_devices, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # frames left, as of when

    def change(self, frames_per_s: float | None, burst: int) -> None:
        """Go on at another rate; what is left in a device's bucket stays, up to the new burst."""
        self._rate, self._burst = frames_per_s, burst

    def spend(self, device: str, frames: int = 1) -> None:
        """Take frames of `device` from its bucket: all of them, or none.

        More at once than the burst pass when the bucket is full, and leave it in debt: the rate holds over time.

        Raises:
            RateLimited: the bucket holds fewer; the message says when it holds as many.
        """
        if self._rate is None:
            return
        now = self._clock()
        left, before = self._buckets.pop(device, (float(self._burst), now))
        left = min(self._burst, left + (now - before) * self._rate)
        needed = min(frames, self._burst)
        self._buckets[device] = (left - frames if left >= needed else left), now
        if len(self._buckets) > self._max_devices:
            self._buckets.popitem(last=False)
        if left < needed:
            raise RateLimited(
                f"expected at most {self._rate:g} frames/s from one device ({self._burst} at once); got more: "
                f"send this frame again in {(needed - left) / self._rate:.1f} s"
            )
