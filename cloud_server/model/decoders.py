"""The pool that decodes: callers in turn, few pictures ahead of the model, of the heavy ones one at a time."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Thread

from cloud_server.model.fair_queue import FairQueue
from cloud_server.model.ticket import Looks, Ticket

COST, QUANTUM = 16 << 10, 64 << 10
"""Of fair queueing: what a picture costs beside its bytes, and the credit of one turn."""
_WEIGHT = 0.2
"""Of the latest picture in the moving mean of the time that one takes."""
_PER_THREAD = 2
"""Pictures that a thread has been given and has not decoded: it finds the next one without waiting for the loop."""


@dataclass(slots=True, eq=False)
class Order:
    """A ticket in the threads' hands; `job` until it is done, `looks` or `error` from then on.

    Attributes:
        ticket: the frame.
        is_heavy: whether it is one of those that are decoded one at a time.
        took_s: seconds that it took.
    """

    ticket: Ticket
    is_heavy: bool
    job: Callable[[], Looks | None] | None
    looks: Looks | None = None
    error: Exception | None = None
    took_s: float = 0.0

    def do(self, clock: Callable[[], float]) -> None:
        """Decode; raises nothing."""
        job, self.job = self.job, None
        assert job is not None
        began = clock()
        try:
            self.looks = job()
        except Exception as error:
            self.error = error
        self.took_s = clock() - began


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
        self._orders: SimpleQueue[Order | None] = SimpleQueue()
        self._done: deque[Order] = deque()
        self._is_told = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pool: list[Thread] = []
        self._is_open = True
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
        while self._is_open and self._decoding < _PER_THREAD * self.threads and self._has_room(self._decoding):
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
            if is_heavy:
                ticket.heavy_job = None
            ticket.job = None
            self._decoding += 1
            self._decoding_heavy += is_heavy
            self.begin(Order(ticket, is_heavy, job))

    def shutdown(self) -> None:
        """Begin nothing more; what runs is left to end."""
        self._is_open = False
        for _ in self._pool:
            self._orders.put(None)

    def begin(self, order: Order) -> None:
        """Give an order to the threads."""
        self._loop = asyncio.get_running_loop()
        if len(self._pool) < min(self.threads, self._decoding):
            thread = Thread(target=self._decode, name=f"decode_{len(self._pool)}", daemon=True)
            self._pool.append(thread)
            thread.start()
        self._orders.put(order)

    def _decode(self) -> None:
        """The life of one thread."""
        while (order := self._orders.get()) is not None:
            if not self._is_open:
                continue
            order.do(self._clock)
            self._done.append(order)
            del order  # an idle thread holds no picture
            if not self._is_told:  # else the loop has been woken, and has not looked yet
                self._is_told = True
                assert self._loop is not None
                try:
                    self._loop.call_soon_threadsafe(self._collect)
                except RuntimeError:  # the loop has ended
                    return

    def done(self, order: Order) -> None:
        """Hand on what was decoded by other hands than the threads; on the loop."""
        self._done.append(order)
        self._collect()

    def _collect(self) -> None:
        """Hand on what is decoded; on the loop."""
        self._is_told = False  # before looking: what is done from now on wakes the loop once more
        while self._done:
            order = self._done.popleft()
            self._decoding -= 1
            self._decoding_heavy -= order.is_heavy
            if self._is_open and not order.ticket.result.done():  # else the server ends, or its caller has gone
                self._hand_on(order)
        self.go_on()

    def _hand_on(self, order: Order) -> None:
        ticket = order.ticket
        if order.error is not None:
            ticket.result.set_exception(order.error)
        elif order.looks is None:
            self._heavy.add(ticket.caller, ticket, QUANTUM)
        else:
            self.one_s += _WEIGHT * (order.took_s - self.one_s) if self.one_s else order.took_s
            ticket.looks, ticket.heavy_job = order.looks, None
            self._on_ready(ticket)
