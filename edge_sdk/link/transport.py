"""The seam between the link and a wire protocol: how frames reach a server, and what comes back.

The link decides which frame leaves, when, and whether the budgets pay for it; a transport only carries it. The default
is gRPC (`edge_sdk.link.grpc_transport`); a fake for tests is `edge_sdk.testing.FakeTransport`.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from edge_sdk.store.spool import SpoolItem


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """What a server says of itself when a connection opens.

    Attributes:
        model: name of its big model.
        labels: its C class names, in the order of `Reply.probabilities`.
        macs: multiply-accumulates of the big model for one frame.
    """

    model: str
    labels: tuple[str, ...]
    macs: int


@dataclass(frozen=True, slots=True)
class Reply:
    """The big model's word on one frame.

    Attributes:
        frame_id: the frame.
        label: the most probable class.
        confidence: its probability, in [0, 1].
        probabilities: C of them, in the order of `server.labels`; empty where the server sends none.
        macs: multiply-accumulates spent on this frame.
        received_bytes: size of the reply message.
        server: who says so.
    """

    frame_id: str
    label: str
    confidence: float
    probabilities: tuple[float, ...]
    macs: int
    received_bytes: int
    server: ServerInfo


@dataclass(frozen=True, slots=True)
class Refusal:
    """A server did not answer a frame.

    Attributes:
        frame_id: the frame.
        message: the server's reason.
        retryable: True: the same frame may be sent again later. False: never.
    """

    frame_id: str
    message: str
    retryable: bool


class Way(Protocol):
    """The way to the server: a socket on this machine from which every byte is metered and forwarded."""

    @property
    def address(self) -> str:
        """What a transport dials instead of the server, in gRPC's form: "unix:/path" or "unix-abstract:name"."""

    @property
    def unreachable(self) -> bool:
        """Whether the latest try to reach the server failed."""


class Connection(Protocol):
    """An open connection. `send` and `receive` run at the same time."""

    @property
    def server(self) -> ServerInfo:
        """What the server said of itself."""

    async def send(self, item: SpoolItem) -> None:
        """Hand one frame over.

        Raises:
            ConnectionError: the connection has ended.
        """

    async def receive(self) -> Reply | Refusal | None:
        """The next word of the server, in any order of frames; None: the server has ended the connection.

        Raises:
            ConnectionError: the connection has ended in failure.
            edge_sdk.security.credentials.Denied: the server does not accept this device.
        """


class Transport(Protocol):
    """A wire protocol."""

    @property
    def opening_bytes(self) -> int:
        """Bytes that opening a connection sends, estimated from above: handshakes and headers included."""

    def frame_bytes(self, item: SpoolItem) -> int:
        """Bytes that sending one frame and acknowledging its reply costs, estimated from above."""

    def connect(self, way: Way) -> AbstractAsyncContextManager[Connection]:
        """Open a connection; leaving the context closes it.

        Args:
            way: what to dial.

        Raises:
            ConnectionError: nobody answers, or the connection cannot be made.
            TimeoutError: it took too long.
            edge_sdk.security.credentials.Denied: one side does not accept the other; a person must act.
            ConfigError: a certificate or token cannot be read.
        """
