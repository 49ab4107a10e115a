"""Bytes that one TCP connection puts on the wire, as the kernel counts them, headers and retransmissions included.

`TCP_INFO` (Linux 4.19 and newer) counts the bytes and segments sent, repeats and acknowledgements included. On other
systems an upper estimate takes its place.
"""

from __future__ import annotations

import array
import math
import socket
import struct
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

LINK_HEADER = 14
"""Ethernet's; links without one cost less than is charged."""

_IPV4, _IPV6 = 20, 40
_TCP_DATA, _TCP_ACK, _TCP_SYN = 32, 60, 40  # with timestamps; with timestamps and three SACK blocks; with options
_ARP_BYTES, _ARP_EVERY_S = 42, 15.0
_DEFAULT_MSS = 1_200
_SO_MEMINFO = 55
_PAUSE_S = 5.0
_UNKNOWN_LOSS = 1.1  # without TCP_INFO: room for retransmissions

SYN_TRIES = 3
"""SYNs of one try to connect (`TCP_SYNCNT` is one less)."""

SYN_BYTES = SYN_TRIES * (LINK_HEADER + _IPV6 + _TCP_SYN)
"""Upper bound of their bytes."""

END_BYTES = 4 * (LINK_HEADER + _IPV6 + _TCP_DATA)
"""Upper bound of the bytes that end a connection."""


@dataclass(frozen=True, slots=True)
class _Kernel:
    """What `TCP_INFO` says."""

    mss: int
    segments: int
    data_segments: int
    bytes_sent: int
    not_sent: int
    repeats: int

    @classmethod
    def read(cls, connection: socket.socket) -> _Kernel | None:
        if not sys.platform.startswith("linux"):
            return None
        info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
        if len(info) < 208:
            return None
        (mss,) = struct.unpack_from("=I", info, 16)
        segments, _, not_sent, _, _, data_segments = struct.unpack_from("=6I", info, 136)
        (bytes_sent,) = struct.unpack_from("=Q", info, 200)
        return cls(mss, segments, data_segments, bytes_sent, not_sent, info[2])


class WireMeter:
    """Counts the bytes of one connection from its opening on.

    Args:
        connection: a connected TCP socket.
        steady: seconds that never run backwards.

    Attributes:
        mss: payload of a full segment.
        pause_s: seconds of silence before the payload that was written since anything came; 0: there was none.
    """

    def __init__(self, connection: socket.socket, *, steady: Callable[[], float] = time.monotonic) -> None:
        self._connection = connection
        self._steady = steady
        self._opened_s = steady()
        self._headers = LINK_HEADER + (_IPV6 if connection.family == socket.AF_INET6 else _IPV4)
        self._written = 0
        self._received = 0
        self._moved_s = self._opened_s
        self.pause_s = 0.0
        self.mss = _DEFAULT_MSS
        self.wire_bytes()

    @property
    def segment_bytes(self) -> int:
        """Size of one full segment with its headers, bytes."""
        return self.mss + self._headers + _TCP_DATA

    def cost(self, n_bytes: int) -> int:
        """Bytes on the wire for `n_bytes` of payload if nothing is lost."""
        return n_bytes + math.ceil(n_bytes / self.mss) * (self._headers + _TCP_DATA)

    def wrote(self, n_bytes: int) -> None:
        """Payload was given to the kernel."""
        now_s = self._steady()
        if now_s - self._moved_s > _PAUSE_S:
            self.pause_s = now_s - self._moved_s
        self._moved_s = now_s
        self._written += n_bytes

    def received(self, n_bytes: int) -> None:
        """Payload has come; its acknowledgements are counted."""
        self._moved_s, self.pause_s = self._steady(), 0.0
        self._received += n_bytes

    def wire_bytes(self) -> int:
        """Bytes sent so far, plus queued bytes counted at their cheapest segmentation."""
        arp = _ARP_BYTES * (1 + int((self._steady() - self._opened_s) / _ARP_EVERY_S))
        found = _Kernel.read(self._connection)
        if found is None:
            acks = (self._received // self.mss + 2) * (self._headers + _TCP_ACK)
            return arp + acks + int(self.cost(self._written) * _UNKNOWN_LOSS)
        self.mss = max(found.mss, 64)
        data = found.bytes_sent + found.data_segments * (self._headers + _TCP_DATA)
        acks = max(0, found.segments - found.data_segments) * (self._headers + _TCP_ACK)
        return arp + data + acks + self.cost(found.not_sent)

    def unacknowledged(self) -> int:
        """Payload that the other side has not acknowledged: it may be sent again. 0 where the system does not say."""
        if not sys.platform.startswith("linux"):
            return 0
        import fcntl
        import termios

        waiting = array.array("i", [0])
        fcntl.ioctl(self._connection.fileno(), termios.TIOCOUTQ, waiting)
        return waiting[0]

    def repeats(self) -> int:
        """How often the oldest unacknowledged segment was sent again in vain; 0 where the system does not say."""
        found = _Kernel.read(self._connection)
        return found.repeats if found else 0

    def gap(self) -> bool:
        """Whether data has come that waits for data before it; False where the system does not say."""
        if not sys.platform.startswith("linux"):
            return False
        import fcntl
        import termios

        try:
            (held,) = struct.unpack_from("=I", self._connection.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, 64))
        except OSError:
            return False  # Linux before 4.12
        readable = array.array("i", [0])
        fcntl.ioctl(self._connection.fileno(), termios.FIONREAD, readable)
        return bool(held and not readable[0])


def interface_bytes(interface: str) -> int | None:
    """Bytes that a network interface has sent since the machine's start, by the kernel; None if there is none."""
    try:
        return int(Path(f"/sys/class/net/{interface}/statistics/tx_bytes").read_text("ascii"))
    except (OSError, ValueError):
        return None
