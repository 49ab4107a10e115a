"""Addresses of the server's name: looked up on a thread, bounded in time and bytes, remembered.

The system's own look-up (`getaddrinfo`) is used, so that `/etc/hosts`, mDNS and a local resolver count. It cannot be
cancelled: with a dead name server it holds its thread for half a minute. So it has a daemon thread of its own, and
never more than one.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

from edge_sdk.link.descriptors import full_table
from edge_sdk.link.meter import LINK_HEADER
from edge_sdk.link.wire_account import WireAccount

_LIFE_S = 300.0
_PATIENCE_S = 4.0
_REPEAT_S = 1.0  # no resolver asks again sooner
_QUERY_BYTES = LINK_HEADER + 40 + 8 + 12 + 6 + 11  # IPv6, UDP, DNS, the question, EDNS; the name comes on top
_UNKNOWN = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)})


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server may be reached.

    Attributes:
        family: `socket.AF_INET` or `socket.AF_INET6`.
        where: what `socket.connect` takes.
    """

    family: int
    where: tuple[str, int] | tuple[str, int, int, int]


Resolve = Callable[[str, int], list[Address]]


def system_addresses(host: str, port: int) -> list[Address]:
    """Addresses of a host as the system knows them. Blocks.

    Raises:
        OSError: there are none; `socket.gaierror` says why.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [Address(family, where) for family, _, _, _, where in found]  # type: ignore[arg-type]


class NameLookup:
    """Looks up one host. For one asyncio loop.

    Addresses are remembered for five minutes, and used beyond that while no name server answers. An IP address is its
    own answer and costs nothing.

    Args:
        host: a name or an IP address.
        port: of the server.
        account: charged for the queries. A pair (IPv4 and IPv6) is paid for before it leaves; one more is charged for
            each second that the look-up takes, since resolvers repeat their queries.
        resolve: gives the addresses; called on a thread.
        steady: seconds that never run backwards.
        patience_s: seconds that a caller waits.
    """

    def __init__(
        self,
        host: str,
        port: int,
        account: WireAccount,
        *,
        resolve: Resolve = system_addresses,
        steady: Callable[[], float] = time.monotonic,
        patience_s: float = _PATIENCE_S,
    ) -> None:
        self._host, self._port = host, port
        self._account = account
        self._resolve = resolve
        self._steady = steady
        self._patience_s = patience_s
        self._free = host == "localhost" or _is_address(host)
        self._known: list[Address] = []
        self._fresh_until_s = 0.0
        self._running: Future[list[Address]] | None = None
        self._started_s = 0.0
        self._ended_s: float | None = None
        self._repeats = 0

    @property
    def query_bytes(self) -> int:
        """Bytes of the two queries of one look-up; 0 where none is needed."""
        return 0 if self._free else 2 * (_QUERY_BYTES + len(self._host))

    def forget(self) -> None:
        """Look the name up anew next time, since no server answers at the addresses known; these stay a last resort."""
        self._fresh_until_s = 0.0

    async def addresses(self) -> list[Address]:
        """Addresses of the host, at least one.

        Raises:
            OSError: there is none within the time that a caller waits; the message says why.
        """
        if self._known and self._steady() < self._fresh_until_s:
            return self._known
        try:
            return await self._look_up()
        except OSError:
            if self._known:  # a name server that is dead today does not take yesterday's address away
                return self._known
            raise

    async def _look_up(self) -> list[Address]:
        if _is_address(self._host):
            return system_addresses(self._host, self._port)  # no query leaves for these
        if self._running is None:
            if not self._account.spend(self.query_bytes, self._account.reserve):
                raise ConnectionError("the upload budget does not pay for a name look-up")
            self._running = self._start()
        patience_s = min(1.0, self._patience_s) if self._known else self._patience_s
        running, until_s = self._running, self._steady() + patience_s
        waiter = asyncio.wrap_future(running)
        while not running.done():
            left_s = until_s - self._steady()
            if left_s <= 0:
                waiter.cancel()
                raise TimeoutError(
                    f"no name server has told the address of {self._host} for {patience_s:g} s: check this "
                    "device's network and its name server"
                )
            await asyncio.wait((waiter,), timeout=min(left_s, _REPEAT_S))
            self._charge_repeats()
        waiter.cancel()
        self._charge_repeats()
        self._running = None
        try:
            self._known = running.result()
        except (OSError, UnicodeError) as error:  # UnicodeError: not a name that can be written in a query
            raise _explain(self._host, error) from error
        self._fresh_until_s = self._steady() + _LIFE_S
        return self._known

    def _start(self) -> Future[list[Address]]:
        future: Future[list[Address]] = Future()
        future.set_running_or_notify_cancel()  # from here on a caller that gives up does not cancel it
        self._started_s, self._ended_s, self._repeats = self._steady(), None, 0

        def work() -> None:
            try:
                found = self._resolve(self._host, self._port)
            except Exception as error:
                self._ended_s = self._steady()
                future.set_exception(error)
            else:
                self._ended_s = self._steady()
                future.set_result(found)

        threading.Thread(target=work, name="edge-sdk name look-up", daemon=True).start()
        return future

    def _charge_repeats(self) -> None:
        ended_s = self._steady() if self._ended_s is None else self._ended_s
        repeats = int((ended_s - self._started_s) / _REPEAT_S)
        if repeats > self._repeats:
            self._account.charge((repeats - self._repeats) * self.query_bytes)
            self._repeats = repeats


def _explain(host: str, error: Exception) -> OSError:
    if full := full_table():
        return full
    if isinstance(error, UnicodeError) or (isinstance(error, socket.gaierror) and error.errno in _UNKNOWN):
        return OSError(f"no name server knows {host}: check the name of the server and this device's name server")
    reason = getattr(error, "strerror", None) or str(error)
    return OSError(f"the address of {host} cannot be looked up ({reason}): check this device's network and name server")


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
