"""Connecting to the server: every address of its name is tried, each try is paid for, and a failure says why.

IPv6 and IPv4 addresses take turns, and the next one is tried while the first is still silent ("happy eyeballs",
RFC 8305, section 5): a dead IPv6 costs a quarter of a second, not the whole time-out. The address that worked last goes
first.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import math
import socket
import struct
import sys
import time
from itertools import chain, zip_longest

from edge_sdk.link.descriptors import FULL_TABLE, TOO_MANY_FILES
from edge_sdk.link.meter import END_BYTES, SYN_BYTES, SYN_TRIES
from edge_sdk.link.names import Address, NameLookup
from edge_sdk.link.wire_account import WireAccount
from edge_sdk.security.place import authority

_log = logging.getLogger(__name__)

_LINUX = sys.platform.startswith("linux")
_MOST_TRIES = 6
_SEGMENTS = (1_000, 500)  # fit IPv6's least MTU of 1,280 bytes with room for tunnels, and IPv4's 576
_SYN_REPEAT_S = 1.0
_SHORTEST_IDLE_S = 5.0
_SHORTEST_DELAY_S, _LONGEST_DELAY_S = 0.25, 2.0  # RFC 8305, section 8


class Dialler:
    """Connects sockets to one server. For one asyncio loop.

    Args:
        host: the server.
        port: its port.
        account: pays for each try.
        timeout_s: seconds after which unacknowledged data ends a connection.
        names: looks the host up; None: by the system.
        what: what is at the other end, for messages.

    Attributes:
        max_segment: most payload of one packet on connections from now on, both ways; None: as the path says.
        longest_idle_s: seconds after which a silent connection is likely to be forgotten on the way; infinity: unknown.
        doing: what a connection waits for now, for a person.
    """

    def __init__(
        self,
        host: str,
        port: int,
        account: WireAccount,
        *,
        timeout_s: float,
        names: NameLookup | None = None,
        what: str = "cloud server",
    ) -> None:
        self._host, self._port = host, port
        self._account = account
        self._timeout_s = timeout_s
        self._what = what
        self._names = names or NameLookup(host, port, account)
        self._best: Address | None = None
        self._delay_s = _SHORTEST_DELAY_S
        self.max_segment: int | None = None
        self.longest_idle_s = math.inf
        self.doing = ""

    @property
    def target(self) -> str:
        """`host:port`."""
        return authority(self._host, self._port)

    def forget(self) -> None:
        """Look the name up anew for the next connection: what answered was not the server."""
        self._names.forget()

    async def connect(self) -> socket.socket:
        """A connected, non-blocking socket, paid for.

        Raises:
            OSError: none can be had; the message says why, for a person.
        """
        self.doing = f"waiting for the name server's word on {self._host}"
        addresses = _in_turns(await self._names.addresses(), self._best)
        self.doing = f"waiting for {self.target} to accept a connection"
        try:
            remote, self._best, seconds = await self._race(addresses)
        except OSError as error:
            self._names.forget()
            raise _explain(self._what, self.target, error) from error
        self._delay_s = min(max(_SHORTEST_DELAY_S, 2 * seconds), _LONGEST_DELAY_S)
        self.doing = f"connected to {self.target}, which does not answer"
        return remote

    async def probe(self) -> bool:
        """Whether the server accepts a further connection at once, where it was last reached; it is reset at once.

        False also where the connection took more than one packet to ask for: such a way is not dead, but poor.
        """
        if self._best is None:
            return False
        try:
            remote, _, seconds = await self._race([self._best])
        except OSError:
            return False
        _reset(remote)
        return seconds < _SYN_REPEAT_S

    def shrink(self, below: int) -> int | None:
        """Make the segments of later connections smaller than `below`; the new size, None: they cannot be smaller."""
        size = next((size for size in _SEGMENTS if size < min(below, self.max_segment or below)), None)
        self.max_segment = size or self.max_segment
        return size

    def suspect(self) -> None:
        """Make segments somewhat smaller: it may be that the answer, which did not come, was too large for the way."""
        self.max_segment = self.max_segment or _SEGMENTS[0]

    def end_before(self, idle_s: float) -> None:
        """Note that a connection was forgotten on the way when it had been silent for `idle_s`."""
        self.longest_idle_s = max(_SHORTEST_IDLE_S, min(self.longest_idle_s, 0.75 * idle_s))

    async def _race(self, addresses: list[Address]) -> tuple[socket.socket, Address, float]:
        """The first connection that is made, its address, and the seconds that it took."""
        queue, running = list(addresses), set[asyncio.Task[tuple[socket.socket, Address, float]]]()
        failure: OSError = ConnectionError("it has no address")
        try:
            while queue or running:
                if queue:
                    running.add(asyncio.create_task(self._try(queue.pop(0))))
                wait_s = self._delay_s if queue else None
                done, _ = await asyncio.wait(running, timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    error = task.exception()
                    if error is None:
                        running.discard(task)
                        return task.result()
                    running.discard(task)
                    if not isinstance(error, OSError):
                        raise error
                    failure = error
        finally:
            for task in running:
                task.cancel()
            for late in await asyncio.gather(*running, return_exceptions=True):
                if not isinstance(late, BaseException):
                    _reset(late[0])
        raise failure

    async def _try(self, address: Address) -> tuple[socket.socket, Address, float]:
        if not self._account.spend(SYN_BYTES + END_BYTES, self._account.reserve):
            raise _Unpaid("the upload budget does not pay for a connection")
        begin_s = time.monotonic()
        remote = socket.socket(address.family, socket.SOCK_STREAM)
        try:
            remote.setblocking(False)
            remote.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.max_segment is not None:
                remote.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, self.max_segment)
            if _LINUX:
                remote.setsockopt(socket.IPPROTO_TCP, socket.TCP_SYNCNT, SYN_TRIES - 1)
                remote.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(1000 * self._timeout_s))
            await asyncio.get_running_loop().sock_connect(remote, address.where)
        except BaseException as error:
            remote.close()
            _log.debug("no connection to %s: %s", address.where, error)
            raise
        return remote, address, time.monotonic() - begin_s


class _Unpaid(ConnectionError):
    """The upload budget has no room for a try."""


def _in_turns(addresses: list[Address], best: Address | None) -> list[Address]:
    """Families by turns, the first one's first; `best`, if it is among them, before all."""
    first = addresses[0].family if addresses else None
    own, other = ([one for one in addresses if (one.family == first) is same] for same in (True, False))
    turns = [one for one in chain.from_iterable(zip_longest(own, other)) if one is not None]
    return sorted(turns, key=lambda one: one != best)[:_MOST_TRIES]


def _explain(what: str, target: str, error: OSError) -> OSError:
    if isinstance(error, _Unpaid):
        return error
    if error.errno in FULL_TABLE:
        return ConnectionError(TOO_MANY_FILES)
    if isinstance(error, ConnectionRefusedError):
        why = f"the port is closed (connection refused): start the {what} there, or check address and port"
    elif isinstance(error, TimeoutError):
        why = "nothing answers: check the address and the firewalls on the way"
    elif error.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL):
        why = f"no way leads there ({error.strerror}): check this device's network"
    else:
        why = error.strerror or str(error)
    return ConnectionError(f"no {what} answers at {target}: {why}")


def _reset(remote: socket.socket) -> None:
    """Close without a word that would have to be repeated."""
    remote.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    remote.close()
