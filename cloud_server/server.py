"""The server as a whole: model, batcher, service and health on one port, from start to drained end."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from functools import partial
from types import TracebackType

import grpc
import numpy as np
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from cloud_server.access.authenticator import Authenticator
from cloud_server.access.rates import RateLimiter
from cloud_server.access.tls import server_credentials
from cloud_server.api.interceptor import TokenInterceptor
from cloud_server.api.offload import OffloadService
from cloud_server.config import ServerConfig
from cloud_server.fleet.frame_archive import FrameKeeper
from cloud_server.fleet.reply_cache import ReplyCache, rows_within
from cloud_server.fleet.stats import Stats
from cloud_server.model.batching import Batcher
from cloud_server.model.big import BigModel, load_model
from cloud_server.model.decode import decode
from cloud_server.model.labels import LabelMap, make_label_map, read_label_map
from edge_sdk.errors import ConfigError
from edge_sdk.types import Image
from edge_sdk.wire import offload_pb2 as wire
from edge_sdk.wire import offload_pb2_grpc as wire_grpc

__all__ = ["CloudServer", "ServerConfig"]

_log = logging.getLogger(__name__)

SERVICE = wire.DESCRIPTOR.services_by_name["Offload"].full_name
SUMMARY_EVERY_S = 60.0


class CloudServer:
    """A server to embed: `async with CloudServer(ServerConfig(port=0)) as server: ... server.address`.

    Args:
        config: what it is made of.
        model: a model to serve in place of the one that `config.model` names.

    Attributes:
        address: "host:port", once it has started.
        stats: what it did.
    """

    def __init__(self, config: ServerConfig, model: BigModel | None = None) -> None:
        self._config = config
        self._given = model
        self._health = health.aio.HealthServicer()
        self.stats = Stats()
        self.address = ""

    async def __aenter__(self) -> CloudServer:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Take the port, load and warm the model, then listen.

        Raises:
            ConfigError: a setting cannot be used: unknown model, no GPU, bad label map, port taken.
            EdgeError: a bundle cannot be opened.
        """
        door = Authenticator(
            self._config.tokens,
            max_streams=self._config.max_streams,
            max_streams_per_device=self._config.max_streams_per_device,
        )
        guard = TokenInterceptor(SERVICE, door, self.stats)
        self._server = grpc.aio.server(options=_options(self._config), interceptors=[guard])
        port = self._bind()
        try:
            await self._prepare(door)
        except BaseException:
            await self._server.start()  # only a server that has started gives its port back
            await self._server.stop(None)
            raise
        await self._server.start()
        self.address = f"{self._config.host}:{port}"
        self._reporter = asyncio.create_task(self._report(), name="summary")
        _log.info("listening on %s", self.address)

    async def _prepare(self, door: Authenticator) -> None:
        config = self._config
        model = self._given
        if model is None:
            model = await asyncio.to_thread(load_model, config.model, config.device, config.threads)
        labels = _label_map(config, model)
        self._batcher = _batcher(config, model, self.stats)
        description = wire.Description(
            model=model.name,
            labels=labels.labels,
            macs=model.macs,
            input_width=model.input_width,
            input_height=model.input_height,
            parameters=model.parameters,
        )
        version = await asyncio.to_thread(_version, model, labels) if config.state or config.keep else ""
        keeper = await asyncio.to_thread(_keeper, config, model, labels, version)
        try:
            store = await asyncio.to_thread(_store, config, version, labels)
        except BaseException:
            if keeper is not None:
                keeper.close()
            raise
        self._service = OffloadService(
            self._batcher,
            labels,
            description,
            store=store,
            door=door,
            rates=RateLimiter(config.max_frames_per_s, config.burst),
            stats=self.stats,
            keeper=keeper,
            stream_window=config.stream_window,
        )
        wire_grpc.add_OffloadServicer_to_server(self._service, self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        try:
            await self._batcher.start(partial(_warm_up, model, config.max_batch))
        except BaseException:
            await self._service.close()
            raise
        for service in ("", SERVICE):
            await self._health.set(service, health_pb2.HealthCheckResponse.SERVING)
        size = (
            f"{model.input_width}x{model.input_height}, {model.macs / 1e6:.0f} M MACs, {model.parameters / 1e6:.1f} M"
        )
        _log.info("%s on %s: %s parameters, %d labels", model.name, model.device, size, len(labels.labels))

    async def stop(self) -> bool:
        """Drain and end: new frames are answered DRAINING, those in flight get their answer, within `drain_s`.

        Returns:
            Whether all in flight were answered.
        """
        drained = True
        await self._health.enter_graceful_shutdown()
        self._batcher.close()
        try:
            async with asyncio.timeout(self._config.drain_s):
                await self._batcher.drained()
                await self._service.end_streams()
        except TimeoutError:
            drained = False
            _log.warning(
                "%d frames were not answered within %g s of draining", self._batcher.pending, self._config.drain_s
            )
        # A call that has just returned still has its status to send; a health watcher would wait for ever.
        await self._server.stop(grace=0.5 if drained else None)
        await self._service.close()
        await self._batcher.stop()
        self._reporter.cancel()
        _log.info("ended: %s", self.stats.take())
        return drained

    def _bind(self) -> int:
        where = f"{self._config.host}:{self._config.port}"
        credentials = None if self._config.tls is None else server_credentials(self._config.tls)
        try:
            if credentials is None:
                port = int(self._server.add_insecure_port(where))
            else:
                port = int(self._server.add_secure_port(where, credentials))
        except RuntimeError:
            port = 0
        if not port:
            raise ConfigError(f"cannot listen on {where}: the port is taken, or the host is not this machine's")
        return port

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(SUMMARY_EVERY_S)
            summary = self.stats.take()
            if summary.frames or summary.failures:
                _log.info("%s", summary)


def _label_map(config: ServerConfig, model: BigModel) -> LabelMap:
    if config.label_map is None:
        return make_label_map(model.labels, {})
    return read_label_map(config.label_map, model.labels)


def _version(model: BigModel, labels: LabelMap) -> str:
    """Another text, hexadecimal, where the model or the label map is another."""
    source = repr((model.name, model.fingerprint, labels.labels, labels.index.tolist()))
    return hashlib.sha256(source.encode()).hexdigest()


def _store(config: ServerConfig, version: str, labels: LabelMap) -> ReplyCache:
    rows = rows_within(len(labels.labels), rows=config.remember)
    if config.state is None:
        return ReplyCache(None, "", rows=rows)
    return ReplyCache(config.state / "answers.db", version, rows=rows)


def _keeper(config: ServerConfig, model: BigModel, labels: LabelMap, version: str) -> FrameKeeper | None:
    if config.keep is None:
        return None
    return FrameKeeper(
        config.keep,
        labels=labels.labels,
        model=model.name,
        version=version[:16],
        limit_bytes=config.keep_limit_bytes,
        fraction=config.keep_fraction,
    )


def _batcher(config: ServerConfig, model: BigModel, stats: Stats) -> Batcher:
    def prepare(data: bytes) -> Image:
        return model.prepare(decode(data, config.limits))

    return Batcher(
        prepare,
        model.run,
        max_batch=config.max_batch,
        max_queue=config.queue,
        max_wait_s=config.max_wait_ms / 1000,
        decoders=config.decoders,
        on_batch=stats.count_batch,
    )


def _warm_up(model: BigModel, max_batch: int) -> None:
    """Run the smallest and the largest batch once, so that no device waits for allocations and kernel choices."""
    blank = model.prepare(np.zeros((model.input_height, model.input_width, 3), np.uint8))
    for size in {1, max_batch}:
        model.run([blank] * size, [None] * size)


def _options(config: ServerConfig) -> list[tuple[str, int]]:
    return [
        # A picture over the limit is answered in-band up to twice the limit; beyond that gRPC ends the call.
        ("grpc.max_receive_message_length", 2 * config.limits.max_bytes + (1 << 20)),
        # Pictures are compressed already; a compressed message could only be a bomb. gRPC refuses it: UNIMPLEMENTED.
        ("grpc.compression_enabled_algorithms_bitset", 1),
        ("grpc.max_concurrent_streams", 128),  # of one connection
        ("grpc.max_metadata_size", 8 << 10),
        ("grpc.absolute_max_metadata_size", 16 << 10),
        ("grpc.so_reuseport", 0),  # two servers on one port would share its devices unnoticed
        # A device on a thin link pays for each ping it must answer: no bandwidth probes, a fixed window in their place,
        # and no keepalive before devices close an idle stream by themselves.
        ("grpc.http2.bdp_probe", 0),
        ("grpc.http2.lookahead_bytes", 1 << 20),
        ("grpc.keepalive_time_ms", 300_000),  # finds devices that vanished without a word
        ("grpc.keepalive_timeout_ms", 60_000),
        ("grpc.http2.min_recv_ping_interval_without_data_ms", 20_000),  # lets clients do the same
    ]
