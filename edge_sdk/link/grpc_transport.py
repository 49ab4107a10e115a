"""The default transport: one long-lived bidirectional gRPC stream."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc

from edge_sdk.errors import ConfigError
from edge_sdk.link import trace_parent
from edge_sdk.link.descriptors import full_table
from edge_sdk.link.transport import CarriesReports, Connection, Refusal, Reply, ServerInfo, StreamFailed, Way
from edge_sdk.security.credentials import Denied, Security, explain_failure, open_channel
from edge_sdk.store.spool import SpoolItem
from edge_sdk.wire import offload_pb2 as wire
from edge_sdk.wire import offload_pb2_grpc as wire_grpc
from edge_sdk.wire.cost import CONNECTION_BYTES, REPORT_CONNECTION_BYTES, frame_bytes
from edge_sdk.wire.names import MODEL_HEADER

# A thin link carries frames, not probes: dead connections show as missing replies, so neither keepalives nor bandwidth
# probes are sent, and retries are the uplink's own, each of them charged. The relay is the only way out: gRPC obeys the
# environment's proxies even for a Unix socket, and would pass the relay by.
_CHANNEL_OPTIONS = [
    ("grpc.enable_http_proxy", 0),
    ("grpc.address_http_proxy_enabled_addresses", ""),
    ("grpc.service_config_disable_resolution", 1),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_retries", 0),
    ("grpc.http2.bdp_probe", 0),
    ("grpc.max_receive_message_length", 4 << 20),  # a description of 20,000 labels
]
_CHANNEL_FILES = 16
_MOST_WAIT_MS = 2**32 - 1
REPORT = "/edge_sdk.v1.Offload/Report"
Metadata = tuple[tuple[str, str], ...]
_FINAL = frozenset({wire.Failure.BAD_IMAGE, wire.Failure.TOO_LARGE, wire.Failure.BAD_REQUEST})
_BUSY = frozenset({wire.Failure.OVERLOADED, wire.Failure.DRAINING})
_FAILURES = frozenset(
    {
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.DATA_LOSS,
    }
)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_DENIALS = (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED)


class GrpcTransport:
    """Speaks `edge_sdk.v1.Offload` (protos/offload.proto).

    Args:
        target: the server, `host:port`: its certificate must be for this host.
        security: certificates and token.
        connect_timeout_s: seconds that opening a connection may take.
        reply_timeout_s: seconds that the server may take to describe itself, and to answer a frame: each tells it.
        trace: name a new trace with each stream.
        model: the bundle's name, by which a server with several models chooses; "": none is named.
    """

    def __init__(
        self,
        target: str,
        security: Security,
        *,
        connect_timeout_s: float,
        reply_timeout_s: float,
        trace: bool = False,
        model: str = "",
    ) -> None:
        self._target = target
        self._security = security
        self._connect_timeout_s = connect_timeout_s
        self._reply_timeout_s = reply_timeout_s
        self._trace = trace
        self._named = ((MODEL_HEADER, model),) if _NAME.fullmatch(model) else ()
        self._sends_probabilities = True  # until a server says that it does not read them: estimates are from above

    @property
    def opening_bytes(self) -> int:
        """Bytes that opening a connection sends, estimated from above."""
        named = sum(2 * (len(name) + len(value)) for name, value in self._named)  # with the description and the stream
        trace = trace_parent.BYTES if self._trace else 0
        return CONNECTION_BYTES + self._security.handshake_bytes + named + trace

    @property
    def report_opening_bytes(self) -> int:
        """Bytes that a connection for reports alone sends, estimated from above."""
        return REPORT_CONNECTION_BYTES + self._security.handshake_bytes

    def frame_bytes(self, item: SpoolItem) -> int:
        """Bytes that sending one frame and acknowledging its reply costs, estimated from above."""
        return frame_bytes(_request(item, self._sends_probabilities, self._reply_timeout_s).ByteSize())

    @asynccontextmanager
    async def connect(self, way: Way) -> AsyncIterator[Connection]:
        """Open a channel, ask the server for its description, and begin the stream."""
        async with self._dial(way) as (channel, token):
            stub = wire_grpc.OffloadStub(channel)
            try:
                metadata = (*(token or ()), *self._named) or None
                told = await stub.Describe(wire.DescribeRequest(), timeout=self._reply_timeout_s, metadata=metadata)
            except grpc.aio.AioRpcError as error:
                if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED and not way.trouble:
                    raise TimeoutError(
                        f"{self._target} has not described itself for {self._reply_timeout_s:g} s"
                    ) from None
                raise _connection_error(error, way, self._target) from error
            self._sends_probabilities = told.reads_probabilities
            named = ((trace_parent.HEADER, trace_parent.new_trace_parent()),) if self._trace else ()
            stream = stub.Stream(metadata=(*(token or ()), *self._named, *named) or None)
            try:
                server = ServerInfo(told.model, tuple(told.labels), told.macs, told.looks_twice, tuple(told.exits))
                reports = _GrpcReports(channel, token, way, self._reply_timeout_s)
                yield _GrpcConnection(stream, server, way, told.reads_probabilities, reports, self._reply_timeout_s)
            finally:
                stream.cancel()

    @asynccontextmanager
    async def connect_for_reports(self, way: Way) -> AsyncIterator[CarriesReports]:
        """Open a channel, and nothing else."""
        async with self._dial(way) as (channel, token):
            yield _GrpcReports(channel, token, way, self._reply_timeout_s)

    @asynccontextmanager
    async def _dial(self, way: Way) -> AsyncIterator[tuple[grpc.aio.Channel, Metadata]]:
        """A channel that has connected, and the metadata of calls."""
        async with self._channel(way) as channel:
            try:
                await asyncio.wait_for(_ready(channel), self._connect_timeout_s)
            except TimeoutError:
                raise TimeoutError(way.doing or f"no cloud server answers at {self._target}") from None
            except ConnectionError:
                trouble = way.trouble or _stranger(way.heard, self._target)
                details = "" if trouble else await _last_error(channel)
                if full := full_table():
                    raise full from None
                if trouble:
                    raise ConnectionError(trouble) from None
                raise explain_failure(details, self._target, self._security) from None
            yield channel, self._security.metadata()

    def _channel(self, way: Way) -> grpc.aio.Channel:
        if full := full_table(_CHANNEL_FILES):  # gRPC aborts the process where it gets no descriptor
            raise full
        try:
            return open_channel(way.address, self._target, self._security, _CHANNEL_OPTIONS)
        except ConfigError:
            if full := full_table():  # the files are there, and can be read when others are closed
                raise full from None
            raise


class _GrpcReports:
    def __init__(self, channel: grpc.aio.Channel, token: Metadata, way: Way, timeout_s: float) -> None:
        self._call = channel.unary_unary(REPORT)  # bytes as they are
        self._token, self._way, self._timeout_s = token, way, timeout_s

    async def report(self, content: bytes) -> bytes | None:
        try:
            return bytes(await self._call(content, timeout=self._timeout_s, metadata=self._token))
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.UNIMPLEMENTED:
                return None
            if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED and not self._way.trouble:
                raise TimeoutError(f"no reply to a report within {self._timeout_s:g} s") from None
            raise _connection_error(error, self._way) from error


class _GrpcConnection:
    def __init__(
        self,
        stream: Any,
        server: ServerInfo,
        way: Way,
        sends_probabilities: bool,
        reports: _GrpcReports,
        reply_timeout_s: float,
    ) -> None:
        self.report = reports.report
        self._sends_probabilities, self._reply_timeout_s = sends_probabilities, reply_timeout_s
        self._stream = stream
        self._way = way
        self.server = server

    async def send(self, item: SpoolItem) -> None:
        try:
            await self._stream.write(_request(item, self._sends_probabilities, self._reply_timeout_s))
        except asyncio.InvalidStateError:  # the call has ended meanwhile
            raise ConnectionError(self._way.trouble or "the server ended the stream") from None
        except grpc.aio.AioRpcError as error:
            raise _connection_error(error, self._way) from error

    async def receive(self) -> Reply | Refusal | None:
        try:
            reply = await self._stream.read()
        except grpc.aio.AioRpcError as error:
            raise _connection_error(error, self._way) from error
        if reply is grpc.aio.EOF:
            return None
        if reply.WhichOneof("result") == "classification":
            said = reply.classification
            chances = tuple(said.probabilities)
            size = reply.ByteSize()
            left_at = self.server.exit_name(said.exit)
            return Reply(reply.frame_id, said.label, said.confidence, chances, said.macs, size, self.server, left_at)
        failure = reply.failure
        leaving = failure.code == wire.Failure.DRAINING
        return Refusal(reply.frame_id, failure.message, is_retryable(failure), failure.code in _BUSY, leaving)


def is_retryable(failure: wire.Failure) -> bool:
    """Whether the same frame may be sent again: as the server says, else by the code.

    A code that this version does not know is of a newer server, and retried: a frame is given up only where a server
    says plainly that it never will be answered.
    """
    return failure.retryable if failure.HasField("retryable") else failure.code not in _FINAL


def _request(item: SpoolItem, with_probabilities: bool, wait_s: float) -> wire.ClassifyRequest:
    wait_ms = min(round(1000 * wait_s), _MOST_WAIT_MS)
    request = wire.ClassifyRequest(frame_id=item.frame_id, image=item.image, event_id=item.event, wait_ms=wait_ms)
    if (region := item.region) is not None:
        request.region.CopyFrom(wire.Region(x=region.x, y=region.y, width=region.width, height=region.height))
    if with_probabilities:
        request.probabilities.extend(item.probabilities.tolist())
    return request


async def _ready(channel: grpc.aio.Channel) -> None:
    """Return when the channel is ready; raise at the first failure, since the next try is the uplink's to decide."""
    state = channel.get_state(try_to_connect=True)
    while state is not grpc.ChannelConnectivity.READY:
        if state in (grpc.ChannelConnectivity.TRANSIENT_FAILURE, grpc.ChannelConnectivity.SHUTDOWN):
            raise ConnectionError
        await channel.wait_for_state_change(state)
        state = channel.get_state(try_to_connect=True)


async def _last_error(channel: grpc.aio.Channel) -> str:
    """Why a channel failed to connect: a call on it ends at once with the reason."""
    try:
        await wire_grpc.OffloadStub(channel).Describe(wire.DescribeRequest(), timeout=1.0)
    except grpc.aio.AioRpcError as error:
        return error.details() or ""
    return ""


def _connection_error(error: grpc.aio.AioRpcError, way: Way, target: str = "") -> ConnectionError:
    details = error.details() or ""
    if target and "Received http2 header with status" in details:  # no gRPC, whatever the code that it is mapped to
        return ConnectionError(_not_a_cloud_server(target, details))
    if error.code() in _DENIALS:
        return Denied(details or error.code().name)
    if way.trouble:
        return ConnectionError(way.trouble)
    kind = StreamFailed if error.code() in _FAILURES else ConnectionError
    return kind(f"{error.code().name}: {details}")


def _stranger(heard: bytes, target: str) -> str:
    """What answers at `target` if it is a web server; empty: it is none."""
    if not heard.startswith((b"HTTP/", b"<")):
        return ""
    first, *rest = heard.splitlines()
    places = [line for line in rest if line.lower().startswith(b"location:")]
    said = ", ".join(ascii(line[:80].decode("latin-1"))[1:-1] for line in (first, *places[:1]))
    return _not_a_cloud_server(target, said)


def _not_a_cloud_server(target: str, said: str) -> str:
    return (
        f"a web server answers at {target}, not a cloud server ({said}): check the port; it may also be that this "
        "network wants a login first (a captive portal)"
    )
