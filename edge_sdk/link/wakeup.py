"""What the uplink's loop sleeps on: new frames, replies, and the end."""

from __future__ import annotations

import asyncio
import time


class Wakeup:
    """Wakes one asyncio loop. `wake` and `end` may be called from any thread; the rest belongs to the loop.

    Attributes:
        closing: whether `end` was called.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._changed = asyncio.Event()
        self.closing = False

    def wake(self) -> None:
        """Something has changed. Does nothing once the loop is closed."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._changed.set)

    def end(self) -> None:
        """The uplink is to end: every wait returns."""
        self.closing = True
        self.wake()

    async def wait(self, timeout_s: float | None) -> bool:
        """Return True when something has changed, False when `timeout_s` seconds are over. None: no limit."""
        try:
            await asyncio.wait_for(self._changed.wait(), timeout_s)
        except TimeoutError:
            return False
        self._changed.clear()
        return True

    async def pause(self, seconds: float) -> None:
        """Wait whatever changes, but not beyond `end`."""
        until_s = time.monotonic() + seconds
        while not self.closing and (left_s := until_s - time.monotonic()) > 0:
            await self.wait(left_s)
