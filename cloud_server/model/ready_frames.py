"""Frames that are decoded, and when they go to the model as a batch.

An idle model takes what is there at once, so a lone frame never waits for company, unless more is about to be ready and
running together answers all sooner (`company`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from cloud_server.model.decoders import Decoders
from cloud_server.model.fair_queue import FairQueue
from cloud_server.model.pace import Pace
from cloud_server.model.ticket import Ticket

_AHEAD = 2
"""Batches that are decoded ahead of the model; what waits behind them waits encoded, which is smaller."""


class ReadyFrames:
    """The frames that the next batches are made of; used on one event loop.

    Args:
        max_batch: most inputs in one batch, and one more where its last frame is looked at twice.
        max_wait_s: how long a batch that is not full waits for more; 0: only for frames that are about to be ready, and
            only where all are answered sooner by it.
        pace: what is known of the model's runs.
        decoders: gives the pool that decodes.
        clock: seconds, monotonic.
        is_late: tells whether a frame's answer is worth nothing any more, and then answers it so.

    Attributes:
        max_batch: as above; may change.
    """

    def __init__(
        self,
        max_batch: int,
        max_wait_s: float,
        pace: Pace,
        decoders: Callable[[], Decoders],
        clock: Callable[[], float],
        is_late: Callable[[Ticket], bool],
    ) -> None:
        self.max_batch, self._max_wait_s = max_batch, max_wait_s
        self._pace, self._decoders, self._clock, self._is_late = pace, decoders, clock, is_late
        self._queue: FairQueue[Ticket] = FairQueue()
        self._arrived = asyncio.Event()

    def __len__(self) -> int:
        return len(self._queue)

    def has_room(self, decoding: int) -> bool:
        """Whether one more frame may be decoded while so many are."""
        return decoding + len(self._queue) < _AHEAD * self.max_batch

    def add(self, ticket: Ticket) -> None:
        """Put in a frame that is decoded."""
        assert ticket.looks is not None
        self._queue.add(ticket.caller, ticket, len(ticket.looks))
        self._arrived.set()

    def remove(self, ticket: Ticket) -> None:
        """Take a frame out, if it is here."""
        self._queue.remove(ticket.caller, ticket)

    async def batch(self) -> list[Ticket]:
        """The next batch, once it is time; empty where all that was there has left or is too late."""
        await self._arrived.wait()
        if len(self._queue) < self.max_batch:
            await (self._fill() if self._max_wait_s else self._await_company())
        batch = self._take()
        if not self._queue:
            self._arrived.clear()
        return batch

    def _take(self) -> list[Ticket]:
        """Callers in turn, the frames of each in order of arrival; what is too late is told so."""
        batch: list[Ticket] = []
        inputs = 0
        while inputs < self.max_batch and (ticket := self._queue.take()) is not None:
            if self._is_late(ticket):
                continue
            batch.append(ticket)
            inputs += len(ticket.looks or ())
        return batch

    async def _await_company(self) -> None:
        """Wait for frames that are about to be ready, where all are answered sooner by it."""
        while (wait_s := self._company_s()) > 0 and await self._another(wait_s):
            pass

    def _company_s(self) -> float:
        ready, room = len(self._queue), self.max_batch - len(self._queue)
        if not ready or room <= 0:
            return 0.0
        decoders = self._decoders()
        return self._pace.company_s(
            ready, len(decoders), room, self._clock(), one_s=decoders.one_s, at_once=decoders.threads
        )

    async def _fill(self) -> None:
        """Wait until the batch is full or the window has passed."""
        until = self._clock() + self._max_wait_s
        while len(self._queue) < self.max_batch and await self._another(until - self._clock()):
            pass

    async def _another(self, timeout_s: float) -> bool:
        """Wait until one more frame is ready; False: none was within `timeout_s`."""
        try:
            async with asyncio.timeout(timeout_s):
                self._arrived.clear()
                await self._arrived.wait()
        except TimeoutError:
            self._arrived.set()
            return False
        return True
