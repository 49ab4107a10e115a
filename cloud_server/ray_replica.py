"""A replica of the cloud server on Ray Serve: the model, the batcher and the service of `cloud-server`, unchanged."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

from ray.serve.handle import DeploymentHandle

from cloud_server import parts
from cloud_server.access.rates import RateLimiter
from cloud_server.access.refusals import RefusalLog
from cloud_server.api.offload import OffloadService
from cloud_server.api.reports import ReportDesk
from cloud_server.api.windows import Windows
from cloud_server.common import Common
from cloud_server.fleet.fleet import Fleet
from cloud_server.fleet.seams import Replies
from cloud_server.fleet.stats import Stats
from cloud_server.http.metrics import Gauges, StatsCollector
from cloud_server.memory import return_large_blocks
from cloud_server.model.batching import Draining, model_thread
from cloud_server.model.big import load_model
from cloud_server.model.tuning import warm_up
from cloud_server.ray_call import NoTracebacks, RayCall
from cloud_server.ray_metrics import RayMetrics
from cloud_server.ray_options import Options
from cloud_server.ray_replies import AskedReplies
from cloud_server.tracing import NoTraces
from edge_sdk.wire import offload_pb2 as wire

_log = logging.getLogger(__name__)


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
            handler.addFilter(NoTracebacks())
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
