"""A connection that stands still although the server can be reached: what may be the cause, and what helps.

- **An MTU black hole**: large packets vanish on the way, without a word. Linux looks for this by itself only where
  `net.ipv4.tcp_mtu_probing` is set. Smaller segments, agreed on with the next connection, pass both ways.
- **A forgotten mapping**: a NAT (most carriers have one) drops its memory of a connection that was silent for a while,
  and then everything that is sent over it. A new connection helps; later ones end before they are silent for so long.

Where the server cannot be reached either, the connection is left alone: TCP goes on by itself when the way is back.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

_CHECK_S = 0.5
_REPEATS = 3  # of the same segment: with TCP's doubling waits, some eight round trips, and 1.4 s at least
_GAP_S = 3.0
_FIRST_PAUSE_S = 2.0
_MAPPING_S = 10.0  # a shorter silence ends no mapping


class Traffic(Protocol):
    """What the kernel says of the connection: `edge_sdk.link.meter.WireMeter`.

    Attributes:
        mss: payload of its largest segments.
        pause_s: seconds of silence before the exchange that is under way.
    """

    mss: int
    pause_s: float

    def unacknowledged(self) -> int:
        """Payload that the other side has not acknowledged."""

    def repeats(self) -> int:
        """How often the oldest unacknowledged segment was sent again."""

    def gap(self) -> bool:
        """Whether data has come that waits for data before it."""


class Server(Protocol):
    """The way to the server: `edge_sdk.link.dialler.Dialler`."""

    @property
    def target(self) -> str:
        """`host:port`."""

    async def probe(self) -> bool:
        """Whether the server accepts a further connection."""

    def shrink(self, below: int) -> int | None:
        """Make the segments of later connections smaller than `below`; None: they are as small as they get."""

    def end_before(self, idle_s: float) -> None:
        """Let later connections end before they are silent for `idle_s`."""


class StallWatch:
    """Watches one connection. For one asyncio loop.

    Args:
        traffic: of the connection.
        server: where it leads to.
        steady: seconds that never run backwards.
    """

    def __init__(self, traffic: Traffic, server: Server, *, steady: Callable[[], float] = time.monotonic) -> None:
        self._traffic = traffic
        self._server = server
        self._steady = steady

    async def stalled(self) -> str:
        """Wait until the connection is beyond help; return the reason, for a person."""
        pause_s, quiet_until_s = _FIRST_PAUSE_S, 0.0
        whole_s = self._steady()
        while True:
            await asyncio.sleep(_CHECK_S)
            now_s = self._steady()
            if not self._traffic.gap():
                whole_s = now_s
            elif now_s - whole_s >= _GAP_S:  # the end of a message came, and its beginning does not
                return self._too_large(1 << 16)
            if self._traffic.repeats() < _REPEATS or now_s < quiet_until_s:
                continue
            if await self._server.probe() and self._traffic.repeats() >= _REPEATS:
                return self._explain()
            quiet_until_s, pause_s = self._steady() + pause_s, 2 * pause_s

    def _explain(self) -> str:
        if self._traffic.pause_s >= _MAPPING_S:
            self._server.end_before(self._traffic.pause_s)
            return (
                f"the connection to {self._server.target} was forgotten on the way (by a NAT) while it was silent for "
                f"{self._traffic.pause_s:.0f} s: a new one is made, and later ones end sooner"
            )
        return self._too_large(self._traffic.mss)

    def _too_large(self, below: int) -> str:
        size = self._server.shrink(below)
        if size is None:
            return (
                f"the connection to {self._server.target} stands still, but the server can be reached: it is made anew"
            )
        return (
            f"large packets vanish on the way to {self._server.target} (its MTU is smaller than the network says): "
            f"packets carry {size} bytes at most from now on"
        )
