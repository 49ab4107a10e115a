"""The cloud server on Ray Serve: replicas on many machines behind one gRPC port, and the replies that they share.

    serve run deploy/ray.yaml

Each replica has a model, a batcher and the service of `cloud-server`, unchanged. Ray's proxy takes the calls, `Stream`
included, and chooses the replica with fewer open ones; Ray starts and ends replicas, and replaces those that die. A
frame that was answered by one replica is not run again by another: the reply is in the fleet's PostgreSQL where
`database` names one, else with `KeptReplies`, one actor for all. What a device may ask for (`max_frames_per_s`,
`max_streams`, its window) counts for each replica.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel, ConfigDict
from ray import serve
from ray.exceptions import RayError
from ray.serve.exceptions import RayServeException
from ray.serve.handle import DeploymentHandle

from cloud_server import parts
from cloud_server.access.rates import RateLimiter
from cloud_server.access.refusals import RefusalLog
from cloud_server.api.offload import OffloadService
from cloud_server.api.reports import ReportDesk
from cloud_server.api.windows import Windows
from cloud_server.common import Common
from cloud_server.config import ServerConfig
from cloud_server.fleet.fleet import Fleet
from cloud_server.fleet.reply_cache import ROWS, CachedReply, ReplyCache
from cloud_server.fleet.seams import Replies
from cloud_server.fleet.stats import Stats
from cloud_server.http.metrics import Gauges, StatsCollector
from cloud_server.memory import return_large_blocks
from cloud_server.model.batching import Draining, model_thread
from cloud_server.model.big import load_model
from cloud_server.model.tuning import warm_up
from cloud_server.ray_call import Ended, RayCall
from cloud_server.ray_metrics import RayMetrics
from cloud_server.tracing import NoTraces
from edge_sdk.errors import ConfigError
from edge_sdk.wire import offload_pb2 as wire

__all__ = ["Options", "app"]

_log = logging.getLogger(__name__)
_CHECK_S = 1.0


class Options(BaseModel):
    """What `serve run cloud_server.ray_app:app NAME=VALUE` and the `args` of a config file take.

    Attributes:
        model: a shipped model's name, the path of a checkpoint or a bundle, or a timm name; the same on all machines.
        device: "auto", "cpu" or "cuda".
        threads: CPU threads of the model; as many as `cpus` where it is left out.
        tokens: file of the devices' token hashes, on each machine; left out: calls need no token.
        database: `postgresql://user@host/name`, which keeps replies, reports and issued tokens of all replicas; left
            out: replies are with one actor, and no reports are taken.
        require_tokens: calls need a token; those issued in the database are let in.
        label_map: JSON file from the model's labels to the devices'.
        label_group: in its place, a map that comes with the package.
        state: without a database: folder of the replies, on the machine of their actor; left out: in memory.
        max_batch: most inputs in one run of the model.
        queue: frames that may wait at one replica.
        max_frames_per_s: how fast one device may send to one replica; left out: no limit.
        max_streams: open calls of one replica.
        min_replicas: replicas that are always there.
        max_replicas: replicas at the most.
        streams_per_replica: open calls of one replica that Ray aims at.
        upscale_delay_s: seconds of more calls until a replica is added.
        downscale_delay_s: seconds of fewer calls until one is taken away.
        drain_s: seconds that a replica which is taken away may take to answer what it has.
        cpus: processor cores of one replica.
        gpus: GPUs of one replica, also a part of one; 0: none.
        accelerator: kind of GPU, as Ray names it ("L4", "H100"); empty: any.
    """

    model_config = ConfigDict(extra="forbid")

    model: str = "trailcam"
    device: str = "auto"
    engine: str = "torch"
    threads: int | None = None
    tokens: str | None = None
    database: str = ""
    require_tokens: bool = False
    label_map: str | None = None
    label_group: str = ""
    state: str | None = None
    max_batch: int = 32
    queue: int = 128
    max_frames_per_s: float | None = None
    max_streams: int = 1000
    min_replicas: int = 1
    max_replicas: int = 8
    streams_per_replica: float = 100.0
    upscale_delay_s: float = 30.0
    downscale_delay_s: float = 600.0
    drain_s: float = 20.0
    cpus: float = 1.0
    gpus: float = 0.0
    accelerator: str = ""

    def config(self) -> ServerConfig:
        """The settings of one replica.

        Raises:
            ConfigError: a value is out of range.
        """
        return ServerConfig(
            model=self.model,
            device=self.device,
            engine=self.engine,
            threads=self.threads or max(1, int(self.cpus)),
            tokens=None if self.tokens is None else Path(self.tokens),
            database=self.database,
            require_tokens=self.require_tokens,
            label_map=None if self.label_map is None else Path(self.label_map),
            label_group=self.label_group,
            max_batch=self.max_batch,
            queue=self.queue,
            max_frames_per_s=self.max_frames_per_s,
            max_streams=self.max_streams,
        )


class KeptReplies:
    """The replies that were given so far, for all replicas: the first one to a frame stays.

    Args:
        state: folder of their file; None: memory.
    """

    def __init__(self, state: str | None) -> None:
        self._path = None if state is None else Path(state) / "answers.db"
        self._cache: ReplyCache | None = None
        self._version = ""
        self._kept = 0

    async def use(self, version: str, rows: int) -> None:
        """Hold the replies of this model and label map; those of another one are dropped."""
        if self._cache is None:
            self._cache, self._version = ReplyCache(self._path, version, rows=rows), version
        elif version != self._version:
            self._version = version
            await self._cache.change_source(version, rows)

    async def get(self, key: bytes, version: str) -> CachedReply | None:
        """The reply to a frame, or None."""
        return None if self._cache is None or version != self._version else await self._cache.get(key)

    async def put(self, key: bytes, reply: CachedReply, version: str) -> None:
        """Keep a reply, unless there is one to this frame or it is of an older model."""
        if self._cache is not None and version == self._version and key not in self._cache:
            self._kept += 1
            await self._cache.put(key, reply)

    async def kept(self) -> int:
        """Frames that were answered since the start, each counted once."""
        return self._kept


class AskedReplies:
    """The reply cache of one replica: it asks `KeptReplies`. While that is away, frames are answered without it.

    Args:
        replies: its handle.
        version: of model and label map.
        rows: replies that are kept.
    """

    def __init__(self, replies: DeploymentHandle, version: str, rows: int) -> None:
        self._replies, self._version, self._rows = replies, version, rows
        self._count = 0

    def __len__(self) -> int:
        return self._count

    async def start(self) -> None:
        """Tell which model's replies are to be held."""
        await self._replies.use.remote(self._version, self._rows)

    async def get(self, key: bytes) -> CachedReply | None:
        """The reply to a frame, or None."""
        try:
            return cast(CachedReply | None, await self._replies.get.remote(key, self._version))
        except (RayError, RayServeException) as error:
            _log.error("the shared replies cannot be read, frames are computed: %s", type(error).__name__)
            return None

    async def put(self, key: bytes, reply: CachedReply) -> None:
        """Keep a reply; it outlives this replica once this has returned."""
        try:
            await self._replies.put.remote(key, reply, self._version)
            self._count += 1
        except (RayError, RayServeException) as error:
            _log.error("a reply is not shared, a repeat is computed again: %s", type(error).__name__)

    async def change_source(self, fingerprint: str, rows: int) -> None:
        """Replies to come are of another model or label map."""
        self._version, self._rows = fingerprint, rows
        await self.start()

    async def close(self) -> None:
        """Nothing: the replies stay."""


class _NoTraces(logging.Filter):
    """Drops Ray's traceback of each call that was ended with a status: who is refused stands in the refusals' lines."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
        while error is not None:
            if isinstance(error, Ended):
                return False
            error = error.__cause__
        return True


class Offload:
    """One replica: the methods of `edge_sdk.v1.Offload`, with the names by which Ray's proxy calls them.

    Args:
        options: of all replicas.
        replies: the handle of `KeptReplies`; None: the database has the replies.

    Attributes:
        stats: what this replica did.
    """

    def __init__(self, options: Options, replies: DeploymentHandle | None) -> None:
        self._options, self._handle, self.stats = options, replies, Stats()
        self._fleet: Fleet | None = None
        for handler in logging.getLogger("ray.serve").handlers:
            handler.addFilter(_NoTraces())
        self._starting: asyncio.Task[None] | None = None
        self._service: OffloadService | None = None
        self._reports: ReportDesk | None = None

    async def _start(self) -> None:
        config = self._options.config()
        return_large_blocks()
        loop, thread = asyncio.get_running_loop(), model_thread()
        load = partial(load_model, config.model, config.device, config.threads, config.engine)
        model = await loop.run_in_executor(thread, load)
        labels, stats = parts.label_map_of(config, model), self.stats
        version = await asyncio.to_thread(parts.version_of, model, labels)
        self._fleet = fleet = await asyncio.to_thread(parts.fleet, config)
        self._reports = reports = await asyncio.to_thread(parts.report_desk, config, fleet)
        authenticator = await asyncio.to_thread(parts.authenticator, config, parts.access_limits(config), fleet)
        self._issued = authenticator.issued
        if self._handle is None:
            cache: Replies = await asyncio.to_thread(parts.reply_cache, config, version, labels, fleet)
        else:
            cache = asked = AskedReplies(self._handle, version, parts.cached_rows(config, labels))
            await asked.start()
        self._batcher = parts.batcher(config, model, stats, thread)
        await self._batcher.start(partial(warm_up, model, config.max_batch))
        common = Common(
            config=config,
            fleet=fleet,
            authenticator=authenticator,
            limiter=RateLimiter(config.max_frames_per_s, config.burst),
            stats=stats,
            refusals=RefusalLog(),
            traces=NoTraces(),
            tell_dates=lambda device, pem: None,
            reports=reports,
            windows=Windows(config.stream_window, config.queue),
        )
        self._service = common.service(config, model, self._batcher, labels, version, cache=cache)
        gauges = Gauges(
            waiting=lambda: self._batcher.waiting, streams=authenticator.open_streams, cached=lambda: len(cache)
        )
        self._metrics = RayMetrics(StatsCollector(stats, gauges, model.name))
        _log.info("%s on %s is ready", model.name, model.device)

    async def _ready(self) -> OffloadService:
        """Loads the model at the first call, on the loop that answers them all."""
        self._starting = self._starting or asyncio.ensure_future(self._start())
        await asyncio.shield(self._starting)
        assert self._service is not None
        return self._service

    async def check_health(self) -> None:
        """Asked by Ray again and again; a replica that fails three times is replaced. Ray is told the counts each time.

        Raises:
            Draining: the model hangs, or fails on everything.
        """
        await self._ready()
        await asyncio.to_thread(self._metrics.publish)
        if self._issued is not None:
            await asyncio.to_thread(self._issued.refresh)
        watch = self._batcher.watch
        if watch.wants_check:
            await self._batcher.check()
        if not watch.is_alive:
            raise Draining("the model does not answer")

    async def stop(self) -> None:
        """Let go of the model and the database; Ray ends the process of a replica without it."""
        if self._service is not None:
            await self._service.close()
            await self._batcher.stop()
        if self._reports is not None:
            await self._reports.close()
        if self._fleet is not None:
            self._fleet.close()

    async def Describe(self, request: wire.DescribeRequest, grpc_context: Any) -> wire.Description:
        """The model's name, size and labels."""
        return await (await self._ready()).Describe(request, RayCall(grpc_context))

    async def Classify(self, request: wire.ClassifyRequest, grpc_context: Any) -> wire.ClassifyReply:
        """One frame, one reply."""
        return await (await self._ready()).Classify(request, RayCall(grpc_context))

    async def Stream(
        self, requests: AsyncIterator[wire.ClassifyRequest], grpc_context: Any
    ) -> AsyncIterator[wire.ClassifyReply]:
        """Many frames; replies come as they are ready."""
        service = await self._ready()
        async for reply in RayCall(grpc_context, requests).served_by(service.Stream):
            yield reply

    async def Report(self, request: wire.ReportRequest, grpc_context: Any) -> wire.ReportReply:
        """What a device tells of itself: kept in the database, and not taken without one."""
        return await (await self._ready()).Report(request, RayCall(grpc_context))


def app(args: Options | dict[str, Any]) -> serve.Application:
    """The application, for `serve run cloud_server.ray_app:app` and config files.

    Args:
        args: the options, or their names and values as Ray read them.

    Raises:
        ConfigError: a value is out of range, or the database is none that replicas can share.
    """
    options = Options.model_validate(args)
    if options.database and "://" not in options.database:
        raise ConfigError(
            f"expected a database as postgresql://USER@HOST/NAME; got {options.database!r:.200}, which replicas on "
            "several machines cannot share: name a PostgreSQL, or none"
        )
    options.config()  # refuses here what each replica would refuse
    actor: dict[str, Any] = {"num_cpus": options.cpus, "num_gpus": options.gpus}
    if options.accelerator:
        actor["accelerator_type"] = options.accelerator
    replies = serve.deployment(KeptReplies).options(
        num_replicas=1, max_ongoing_requests=ROWS, ray_actor_options={"num_cpus": 0}
    )
    offload = serve.deployment(Offload).options(
        max_ongoing_requests=options.max_streams,
        autoscaling_config={
            "min_replicas": options.min_replicas,
            "max_replicas": options.max_replicas,
            "initial_replicas": options.min_replicas,
            "target_ongoing_requests": options.streams_per_replica,
            "upscale_delay_s": options.upscale_delay_s,
            "downscale_delay_s": options.downscale_delay_s,
        },
        ray_actor_options=actor,
        graceful_shutdown_timeout_s=options.drain_s,
        graceful_shutdown_wait_loop_s=_CHECK_S,
        health_check_period_s=5.0,
        health_check_timeout_s=120.0,
    )
    return offload.bind(options, None if options.database else replies.bind(options.state))
