"""Bytes of alerts that leave by a metered link: paid for before they leave, corrected by what the kernel reports.

An estimate from above is charged first (`Ledger.try_spend`, so a budget holds through alerts too), with room for one
repeat and the end of the connection. What the connection then sent less stays as credit for the next alert; what it
sent beyond the estimate (further repeats, bounded by giving a silent connection up) is charged after.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress

from edge_sdk.budget.ledger import Ledger
from edge_sdk.link.meter import END_BYTES, WireMeter

_PACKET = 14 + 40 + 32
_SYNS = 8  # of two addresses, within ten seconds
_SEGMENT = 1_200
_MOST_REPEATED = 2_000
_LOST_AFTER_MS = 30_000
_TLS_BYTES = 4_000  # two hellos with post-quantum key shares, a signature, the end; and what each record adds


def opening_bytes(*, encrypted: bool) -> int:
    """Upper estimate of the bytes that open and end a connection."""
    return (_SYNS + 4) * _PACKET + END_BYTES + (_TLS_BYTES if encrypted else 0)


def payload_bytes(n_bytes: int) -> int:
    """Upper estimate of the bytes on the wire for a payload and the acknowledgement of a short reply."""
    return n_bytes + 64 + (n_bytes // _SEGMENT + 4) * _PACKET


class Toll:
    """Pays a ledger for what one channel sends. Without one, all is free. Not thread-safe.

    Args:
        ledger: whose upload budget is charged; None: none.
    """

    def __init__(self, ledger: Ledger | None = None) -> None:
        self._ledger = ledger
        self._credit = 0
        self._connection: socket.socket | None = None
        self._meter: WireMeter | None = None
        self._seen = 0

    def pay(self, n_bytes: int) -> bool:
        """Pay for bytes that are to leave. False: the budget has no room, and nothing may leave.

        Args:
            n_bytes: upper estimate of them.
        """
        lacking = n_bytes + min(n_bytes, _MOST_REPEATED) + 2 * _PACKET + END_BYTES - self._credit
        if self._ledger is None or lacking <= 0:
            return True
        if not self._ledger.try_spend(upload=lacking):
            return False
        self._credit += lacking
        return True

    def opened(self, connection: socket.socket) -> None:
        """A connection stands; its bytes are counted from its beginning, until `closed`."""
        if self._ledger is not None:
            self._connection = socket.socket(fileno=os.dup(connection.fileno()))  # it outlives being wrapped for TLS
            if hasattr(socket, "TCP_USER_TIMEOUT"):
                self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _LOST_AFTER_MS)
            self._meter, self._seen = WireMeter(self._connection), 0

    def settle(self) -> None:
        """Take what has left off the credit; charge what goes beyond it."""
        if self._meter is not None:
            with suppress(OSError):
                sent = self._meter.wire_bytes()
                self._take(sent - self._seen)
                self._seen = sent

    def closed(self) -> None:
        """The connection ends, or did not come about: then what was paid counts as sent."""
        if self._meter is None or self._connection is None:
            self._credit = 0
            return
        self.settle()
        self._take(END_BYTES)
        self._connection.close()
        self._connection = self._meter = None

    def _take(self, n_bytes: int) -> None:
        self._credit -= n_bytes
        if self._credit < 0 and self._ledger is not None:
            self._ledger.charge(upload=-self._credit)
            self._credit = 0
