"""The seam between the link and a wire protocol: how frames reach a server, and what comes back.

The link decides which frame leaves, when, and whether the budgets pay for it; a transport only carries it. The default
is gRPC (`edge_sdk.link.grpc_transport`); a fake for tests is `edge_sdk.testing.FakeTransport`.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from edge_sdk.store.spool import SpoolItem
from edge_sdk.terminal.line import one_line

_MOST_MACS = 10**15
_MOST_CHANCE = 1.001  # of a float32 that was rounded
LONGEST_NAME = 500
"""Most letters of a label or of a model's name; what comes longer is cut."""


class StreamFailed(ConnectionError):
    """The server itself ended the connection, in failure on what it was sent; not the network, nor its going down."""


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """The server's description, received when a connection opens. Names are brought to one line each (`one_line`).

    Attributes:
        model: name of its big model.
        labels: its C class names, in the order of `Reply.probabilities`.
        macs: multiply-accumulates of the big model for one frame; what is no such number is bounded.
        looks_twice: it looks at a frame with a region twice.
        exits: names of the big model's exits, the last its own end; empty where it has none.
    """

    model: str
    labels: tuple[str, ...]
    macs: int
    looks_twice: bool = False
    exits: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "model", one_line(self.model, LONGEST_NAME))
        object.__setattr__(self, "macs", _bounded(self.macs))
        for names in ("labels", "exits"):
            object.__setattr__(self, names, tuple(one_line(name, LONGEST_NAME) for name in getattr(self, names)))

    def exit_name(self, place: int) -> str:
        """The name of an exit by its place in `exits` and 1; "" for 0, and for one that was not described."""
        return self.exits[place - 1] if 0 < place <= len(self.exits) else ""

    def macs_of(self, item: SpoolItem) -> int:
        """Multiply-accumulates of the big model for a frame, estimated from above."""
        return self.macs * (2 if self.looks_twice and item.region is not None else 1)


@dataclass(frozen=True, slots=True)
class Reply:
    """The big model's answer on one frame. Its label is brought to one line, as those of `ServerInfo`.

    A number that no answer can have is the server's fault: `flaw` names it, and the link counts a failure.

    Attributes:
        frame_id: the frame.
        label: the most probable class.
        confidence: its probability, in [0, 1].
        probabilities: C of them, in the order of `server.labels`; empty where the server sends none.
        macs: multiply-accumulates spent on this frame.
        received_bytes: size of the reply message.
        server: the server that answered.
        exit: the exit of the big model at which the frame left, one of `server.exits`; "" where it has none.
    """

    frame_id: str
    label: str
    confidence: float
    probabilities: tuple[float, ...]
    macs: int
    received_bytes: int
    server: ServerInfo
    exit: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "label", one_line(self.label, LONGEST_NAME))
        object.__setattr__(self, "macs", _bounded(self.macs))
        object.__setattr__(self, "exit", one_line(self.exit, LONGEST_NAME))

    @property
    def flaw(self) -> str:
        """What makes the answer unusable; "": nothing does."""
        chances = (self.confidence, *self.probabilities)
        if not all(0.0 <= chance <= _MOST_CHANCE for chance in chances):  # NaN too
            return "the server's answer has a probability outside [0, 1]"
        return ""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A server's failure to answer one frame. Its message is brought to one line (`one_line`).

    Attributes:
        frame_id: the frame.
        message: the server's reason.
        retryable: True: the same frame may be sent again later. False: never.
        busy: the server has no room at present, which says nothing of the frame.
        leaving: the server takes no frames any more: it is about to end, or its model does not answer.
    """

    frame_id: str
    message: str
    retryable: bool
    busy: bool = False
    leaving: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "message", one_line(self.message))


class Way(Protocol):
    """The way to the server: a socket on this machine from which every byte is metered and forwarded."""

    @property
    def address(self) -> str:
        """What a transport dials instead of the server, in gRPC's form: "unix:/path" or "unix-abstract:name"."""

    @property
    def trouble(self) -> str:
        """Why the latest connection failed, as far as the way knows; empty: nothing is known to have failed."""

    @property
    def doing(self) -> str:
        """What the latest connection waits for now, for a person."""

    @property
    def heard(self) -> bytes:
        """The first bytes, 1,024 at most, that came from the other side on the latest connection."""


class Connection(Protocol):
    """An open connection. `send` and `receive` run at the same time."""

    @property
    def server(self) -> ServerInfo:
        """The server's description."""

    async def send(self, item: SpoolItem) -> None:
        """Send one frame; its reply comes later from `receive`.

        Raises:
            ConnectionError: the connection has ended.
        """

    async def receive(self) -> Reply | Refusal | None:
        """Wait for the next reply, in any order of frames. None: the server has ended the connection.

        Raises:
            ConnectionError: the connection has ended in failure.
            StreamFailed: as `ConnectionError`, where the server says that it failed on what it was sent.
            edge_sdk.security.credentials.Denied: the server does not accept this device.
        """


@runtime_checkable
class CarriesReports(Protocol):
    """A connection that carries reports too; those of other transports need not."""

    async def report(self, content: bytes) -> bytes | None:
        """Send a report, and return the server's reply; None: the server takes no reports.

        Args:
            content: a serialised `ReportRequest` of `protos/offload.proto`; the reply is a `ReportReply`.

        Raises:
            ConnectionError: it could not be sent, or the server failed on it.
            TimeoutError: no reply came in time.
        """


@runtime_checkable
class OpensForReports(Protocol):
    """A transport that can open a connection for reports alone, at fewer bytes than one for frames."""

    @property
    def report_opening_bytes(self) -> int:
        """Bytes that opening and ending such a connection sends, estimated from above."""

    def connect_for_reports(self, way: Way) -> AbstractAsyncContextManager[CarriesReports]:
        """As `Transport.connect`; nothing is asked of the server beside."""


class Transport(Protocol):
    """A wire protocol. It may carry reports as well (`CarriesReports`, `OpensForReports`)."""

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


def _bounded(macs: int) -> int:
    """Multiply-accumulates as a number that the ledger can hold."""
    return max(0, min(int(macs), _MOST_MACS))
