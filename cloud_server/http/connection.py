"""One HTTP connection, bounded: how many there are, how long a client may take to ask, and to take its reply."""

from __future__ import annotations

import asyncio
from collections import Counter

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

CONNECTIONS, CONNECTIONS_OF_ONE = 512, 128
"""Open connections of all clients, and of one address; a proxy on this machine is not counted as one."""
HEAD_S = 10.0
"""Seconds in which a request's head must have come, and in which the body of a request that was answered is dropped."""
WRITE_S = 30.0
"""Seconds in which a client must take some of a reply that waits for it."""
HEAD_BYTES = 32 << 10
"""Bytes of a request's head."""
LOOPBACK = ("127.0.0.1", "::1", "::ffff:127.0.0.1")


class Connection(H11Protocol):
    """uvicorn's connection with bounds; used on the HTTP thread's loop alone."""

    _deadline: asyncio.TimerHandle | None = None
    _writing: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, or close it where there are too many."""
        super().connection_made(transport)
        address = self.client[0] if self.client else ""
        counts = Counter(one.client[0] for one in self.connections if isinstance(one, Connection) and one.client)
        is_one_too_many = counts[address] > CONNECTIONS_OF_ONE and address not in LOOPBACK
        if is_one_too_many or len(self.connections) > CONNECTIONS:
            transport.abort()
        else:
            self._arm()

    def data_received(self, data: bytes) -> None:
        """Read on; what has begun and does not end in time is cut off."""
        super().data_received(data)
        self._look()

    def on_response_complete(self) -> None:
        """Wait for the next request, or for the rest of this one."""
        super().on_response_complete()
        self._look(is_idle=True)

    def pause_writing(self) -> None:
        """The client takes its reply slowly: begin to count."""
        super().pause_writing()
        if self._writing is None:
            self._writing = self.loop.call_later(WRITE_S, self.transport.abort)

    def resume_writing(self) -> None:
        """The client took some."""
        super().resume_writing()
        if self._writing is not None:
            self._writing.cancel()
            self._writing = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of the timers."""
        self._disarm()
        super().connection_lost(exc)
        self._unset_keepalive_if_required()

    def _look(self, *, is_idle: bool = False) -> None:
        """Count down while a head, or a body that nobody reads, is under way."""
        is_answered = self.cycle is not None and self.cycle.response_complete
        state = self.conn.their_state
        if state is h11.IDLE and is_idle:
            self._disarm()  # uvicorn ends an idle connection by itself
        elif state is h11.IDLE or (state is h11.SEND_BODY and is_answered):
            self._arm()
        else:
            self._disarm()

    def _arm(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(HEAD_S, self.transport.abort)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
