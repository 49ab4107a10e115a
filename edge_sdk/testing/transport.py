"""A transport that dials nobody: frames go to a function in this process, which gives the replies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from edge_sdk.link.transport import Connection, Refusal, Reply, ServerInfo, Way
from edge_sdk.store.spool import SpoolItem

Script = Callable[[SpoolItem, ServerInfo], Reply | Refusal | None]


def first_label(item: SpoolItem, server: ServerInfo) -> Reply:
    """A script: names the server's first class, always, with a confidence of 0.9."""
    rest = 0.1 / max(1, len(server.labels) - 1)
    chances = (0.9, *(rest for _ in server.labels[1:]))
    return Reply(item.frame_id, server.labels[0], 0.9, chances, server.macs, 64, server)


class FakeTransport:
    """A `Transport` for `Uplink` and `EdgeClassifier`.

    Args:
        labels: of the server.
        script: gives the reply to a frame, called in the uplink's loop; None: no reply comes.
        macs: multiply-accumulates of the server's model for one frame.
        error: raised at each connection instead of opening it; None: it opens.

    Attributes:
        sent: frames that came, in their order, repeats included.
        connections: how many were opened.
    """

    opening_bytes = 100

    def __init__(
        self,
        labels: tuple[str, ...],
        script: Script = first_label,
        *,
        macs: int = 1000,
        error: Exception | None = None,
    ) -> None:
        self._server = ServerInfo("fake", labels, macs)
        self._script = script
        self._error = error
        self.sent: list[SpoolItem] = []
        self.connections = 0

    def frame_bytes(self, item: SpoolItem) -> int:
        """Size of the picture and 100 bytes."""
        return len(item.image) + 100

    @asynccontextmanager
    async def connect(self, way: Way) -> AsyncIterator[Connection]:
        """Open a connection, or raise `error`."""
        if self._error is not None:
            raise self._error
        self.connections += 1
        yield _FakeConnection(self, self._server, self._script)


class _FakeConnection:
    def __init__(self, transport: FakeTransport, server: ServerInfo, script: Script) -> None:
        self._transport = transport
        self._script = script
        self._replies: asyncio.Queue[Reply | Refusal] = asyncio.Queue()
        self.server = server

    async def send(self, item: SpoolItem) -> None:
        self._transport.sent.append(item)
        if (reply := self._script(item, self.server)) is not None:
            self._replies.put_nowait(reply)

    async def receive(self) -> Reply | Refusal | None:
        return await self._replies.get()
