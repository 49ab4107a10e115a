"""Which of several servers a device uses, put down in its state folder for those who read that (`edge-sdk info`)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from edge_sdk.durable.files import write_whole
from edge_sdk.terminal.line import one_line
from edge_sdk.types import LinkState

_log = logging.getLogger(__name__)

FILE = "server.json"


class InUse(msgspec.Struct, frozen=True):
    """The server in use.

    Attributes:
        server: `host:port`.
        since: when the device went over to it, by the device's clock.
        servers: all that are named, the one to be used first at the front.
        message: why it is not the first; empty: it is.
    """

    server: str
    since: datetime
    servers: tuple[str, ...]
    message: str = ""


class InUseFile:
    """Writes the file whenever another server is in use; with one server alone, there is none. For one thread.

    Args:
        state: the state folder.
        servers: those that are named.
        wall_s: this machine's clock, seconds since 1970.
    """

    def __init__(self, state: Path, servers: Sequence[str], wall_s: Callable[[], float]) -> None:
        self._path, self._servers, self._wall_s = state / FILE, tuple(servers), wall_s
        self._last = read_in_use(state)
        if len(self._servers) < 2 and self._last is not None:
            with suppress(OSError):
                self._path.unlink()

    def tell(self, server: str, state: LinkState, message: str) -> None:
        """Take the link's state; `server` is the one that it is of."""
        last = self._last
        if state is not LinkState.ONLINE or len(self._servers) < 2:
            return
        if last is not None and (last.server, last.servers) == (server, self._servers):
            return
        since = datetime.fromtimestamp(max(0.0, self._wall_s()), UTC)
        self._last = InUse(server, since, self._servers, one_line(message))
        try:
            write_whole(self._path, msgspec.json.encode(self._last))
        except OSError as error:
            _log.warning("the server in use cannot be written down: %s", one_line(error))


def read_in_use(state: Path) -> InUse | None:
    """What a state folder says; None: one server or none is named, none has answered yet, or it cannot be read."""
    try:
        return msgspec.json.decode((state / FILE).read_bytes(), type=InUse)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None
