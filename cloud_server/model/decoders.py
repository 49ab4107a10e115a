"""The pool that decodes: callers in turn, few pictures ahead of the model, of the heavy ones one at a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from cloud_server.model.fair_queue import FairQueue
from cloud_server.model.ticket import Looks, Ticket

COST, QUANTUM = 16 << 10, 64 << 10
"""Of fair queueing: what a picture costs beside its bytes, and the credit of one turn."""
_WEIGHT = 0.2
"""Of the latest picture in the moving mean of the time that one takes."""


class Decoders:
    """Decodes tickets; used on one event loop.

    Args:
        threads: that decode.
        has_room: given the pictures in decode, whether one more may be begun.
        on_ready: called with each ticket whose `looks` are there.
        clock: seconds, monotonic; read in the threads.
        is_late: given a ticket, whether it is no longer worth decoding, and has been told so.
    """

    def __init__(
        self,
        threads: int,
        has_room: Callable[[int], bool],
        on_ready: Callable[[Ticket], None],
        clock: Callable[[], float] = time.monotonic,
        is_late: Callable[[Ticket], bool] = lambda ticket: False,
    ) -> None:
        self.threads, self._clock, self._is_late = threads, clock, is_late
        self._has_room, self._on_ready = has_room, on_ready
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="decode")
        self._encoded: FairQueue[Ticket] = FairQueue(QUANTUM)
        self._heavy: FairQueue[Ticket] = FairQueue(QUANTUM)
        self._decoding = self._decoding_heavy = 0
        self._had_heavy = False
        self.one_s = 0.0
        """Seconds that a picture takes in its thread, a moving mean."""

    def __len__(self) -> int:
        """Pictures in decode, and those that wait for it."""
        return self._decoding + len(self._encoded) + len(self._heavy)

    def add(self, ticket: Ticket) -> None:
        """Take a ticket whose `job` gives its looks, or None where its `heavy_job` is to do it."""
        self._encoded.add(ticket.caller, ticket, ticket.size + COST)
        self.go_on()

    def remove(self, ticket: Ticket) -> None:
        """Forget a ticket that waits; one in decode ends for nothing."""
        for queue in (self._encoded, self._heavy):
            queue.remove(ticket.caller, ticket)

    def go_on(self) -> None:
        """Begin to decode as long as there are threads, and room."""
        while self._decoding < self.threads and self._has_room(self._decoding):
            first, second = (self._encoded, self._heavy) if self._had_heavy else (self._heavy, self._encoded)
            ticket = None
            for queue in (first, second):  # in turn: neither kind of picture waits for the other's end
                if ticket is None and not (queue is self._heavy and self._decoding_heavy):
                    ticket, is_heavy = queue.take(), queue is self._heavy
            if ticket is None:
                return
            if self._is_late(ticket):
                continue
            self._had_heavy = is_heavy
            job = ticket.heavy_job if is_heavy else ticket.job
            assert job is not None
            if is_heavy:
                ticket.heavy_job = None
            ticket.job = None
            self._decoding += 1
            self._decoding_heavy += is_heavy
            decoded = asyncio.get_running_loop().run_in_executor(self._pool, _timed, self._clock, job)
            decoded.add_done_callback(partial(self._on_decoded, ticket, is_heavy))

    def shutdown(self) -> None:
        """Begin nothing more; what runs is left to end."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _on_decoded(self, ticket: Ticket, was_heavy: bool, decoded: asyncio.Future[tuple[Looks | None, float]]) -> None:
        self._decoding -= 1
        self._decoding_heavy -= was_heavy
        error = None if decoded.cancelled() else decoded.exception()
        if decoded.cancelled() or ticket.result.done():
            pass  # the server ends, or its caller has gone
        elif error is not None:
            ticket.result.set_exception(error)
        else:
            looks, took_s = decoded.result()
            if looks is None:
                self._heavy.add(ticket.caller, ticket, QUANTUM)
            else:
                self.one_s += _WEIGHT * (took_s - self.one_s) if self.one_s else took_s
                ticket.looks, ticket.heavy_job = looks, None
                self._on_ready(ticket)
        if not decoded.cancelled():
            self.go_on()


def _timed(clock: Callable[[], float], job: Callable[[], Looks | None]) -> tuple[Looks | None, float]:
    began = clock()
    looks = job()
    return looks, clock() - began
