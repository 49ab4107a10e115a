"""How many frames of one device are in flight, over all its streams: fewer while many devices send.

A stream that may not go on is not read, and HTTP/2 holds its sender back: nothing is refused, nothing is sent twice.
The queue's places are spread over the devices that send, so that 100 of them at full speed wait no longer than one.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable

from cloud_server.model.places import Overloaded

LATELY_S = 5.0
"""A device that sent a frame within this time counts as one that sends."""
WINDOW_BYTES = 24 << 20
"""Messages of one device in flight; one alone may be larger."""
HELD_BYTES = 16 << 20
"""Messages of one device that were read and wait for a window."""


class Windows:
    """The windows of all devices; used on one event loop.

    Args:
        per_device: frames of one device in flight at the most.
        total: frames in flight that are aimed at, of all devices that send.
        clock: seconds, monotonic.
    """

    def __init__(self, per_device: int, total: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_device, self._total, self._clock = per_device, total, clock
        self._in_flight: Counter[str] = Counter()
        self._bytes: Counter[str] = Counter()
        self._waiting: dict[str, deque[tuple[asyncio.Future[None], int]]] = {}
        self._sent_at: OrderedDict[str, float] = OrderedDict()

    @property
    def size(self) -> int:
        """Frames that each device may have in flight now."""
        now = self._clock()
        while self._sent_at and now - next(iter(self._sent_at.values())) > LATELY_S:
            self._sent_at.popitem(last=False)
        return max(1, min(self._per_device, self._total // max(1, len(self._sent_at))))

    async def enter(self, device: str, size: int) -> None:
        """Wait until one more frame of a device may be in flight.

        Args:
            device: whose frame it is.
            size: bytes of its message, which is held meanwhile.

        Raises:
            Overloaded: too many bytes of this device wait already.
        """
        self._sent_at[device] = self._clock()
        self._sent_at.move_to_end(device)
        if device not in self._waiting and self._has_room(device, size):
            self._take(device, size)
            return
        queue = self._waiting.setdefault(device, deque())
        if queue and sum(held for _, held in queue) + size > HELD_BYTES:
            raise Overloaded("too much of this device waits: send this frame again later")
        place = asyncio.get_running_loop().create_future()
        queue.append((place, size))
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self.leave(device, size)
            raise
        finally:
            self._drop(device, place)

    def leave(self, device: str, size: int) -> None:
        """One frame of a device, of this size, is no longer in flight."""
        self._in_flight[device] -= 1
        self._bytes[device] -= size
        for place, waiting_size in self._waiting.get(device, ()):
            if not place.done():
                if not self._has_room(device, waiting_size):
                    break
                place.set_result(None)
                self._take(device, waiting_size)
        if not self._in_flight[device]:
            del self._in_flight[device], self._bytes[device]

    def _has_room(self, device: str, size: int) -> bool:
        count = self._in_flight.get(device, 0)
        return not count or (count < self.size and self._bytes[device] + size <= WINDOW_BYTES)

    def _take(self, device: str, size: int) -> None:
        self._in_flight[device] += 1
        self._bytes[device] += size

    def _drop(self, device: str, place: asyncio.Future[None]) -> None:
        left = deque(entry for entry in self._waiting[device] if entry[0] is not place)
        if left:
            self._waiting[device] = left
        else:
            del self._waiting[device]
