"""A replica of the cloud server on Ray Serve: the models and services of `cloud-server`, unchanged."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from grpc_health.v1 import health_pb2
from ray.serve.handle import DeploymentHandle
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from cloud_server import parts
from cloud_server.access.rates import RateLimiter
from cloud_server.access.refusals import RefusalLog
from cloud_server.api.interceptor import TokenInterceptor
from cloud_server.begin import load_models, offer
from cloud_server.fleet.fleet import Fleet
from cloud_server.fleet.stats import Stats
from cloud_server.health import Health
from cloud_server.http.metrics import Gauges, StatsCollector
from cloud_server.lookout import Lookout
from cloud_server.memory import return_large_blocks
from cloud_server.model.batching import Draining
from cloud_server.models import Models
from cloud_server.open_inference import open_inference_pb2 as oip
from cloud_server.ray_call import NoTracebacks
from cloud_server.ray_http import response_of
from cloud_server.ray_metrics import RayMetrics
from cloud_server.ray_options import Options
from cloud_server.ray_replies import AskedReplies
from cloud_server.ray_services import RayServices, single
from cloud_server.tracing import NoTraces
from edge_sdk.wire import offload_pb2 as wire

if TYPE_CHECKING:
    from cloud_server.open_inference.http_form import HttpForm

_log = logging.getLogger(__name__)

_HEALTH = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
_OPEN_INFERENCE = oip.DESCRIPTOR.services_by_name["GRPCInferenceService"]
_REFUSALS_EVERY_S = 60.0


class Offload:
    """One replica: the methods of all services, by which Ray's proxy calls them, and the requests of its HTTP port.

    Args:
        options: of all replicas.
        replies: the handle of `KeptReplies`; None: the database has the replies.

    Attributes:
        stats: what this replica did.
    """

    def __init__(self, options: Options, replies: DeploymentHandle | None) -> None:
        self._config, self._handle, self.stats = options.config(), replies, Stats()
        self._fleet: Fleet | None = None
        self._models: Models | None = None
        self._starting: asyncio.Task[None] | None = None
        self._form: HttpForm | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._is_open = True
        for handler in logging.getLogger("ray.serve").handlers:
            handler.addFilter(NoTracebacks())

    async def _start(self) -> None:
        config, stats, refusals = self._config, self.stats, RefusalLog()
        return_large_blocks()
        self._fleet = fleet = await asyncio.to_thread(parts.fleet, config)
        authenticator = await asyncio.to_thread(parts.authenticator, config, parts.access_limits(config), fleet)
        versions: list[str] = []

        def asked(version: str, rows: int) -> AskedReplies:
            versions.append(version)
            return AskedReplies(self._handle, version, rows)

        models = self._models = await load_models(
            config,
            fleet=fleet,
            authenticator=authenticator,
            limiter=RateLimiter(config.max_frames_per_s, config.burst),
            stats=stats,
            refusals=refusals,
            traces=NoTraces(),
            tell_dates=lambda device, pem: None,
            shared_replies=None if self._handle is None else asked,
        )
        if self._handle is not None:
            await self._handle.hold.remote(versions)
        await models.start()
        health = Health()
        lookout = Lookout(
            models, health, grace_s=config.model_grace_s, issued=authenticator.issued, clock=time.monotonic
        )
        await lookout.tell_health()
        guard = TokenInterceptor(parts.guarded_services(config), authenticator, stats, refusals)
        self._services = RayServices(guard)
        self._form = offer(
            models,
            health,
            self._services,
            is_serving=lambda: self._is_serving(models),
            is_open=lambda: self._is_open,
        )
        gauges = Gauges(
            waiting=lambda: models.waiting,
            streams=authenticator.open_streams,
            cached=lambda: models.cached,
        )
        self._metrics = RayMetrics(StatsCollector(stats, gauges, models.first.model.name))
        self._tasks = [asyncio.create_task(lookout.run()), asyncio.create_task(_tell_refusals(refusals))]
        _log.info("%s on %s is ready", models.first.model.name, models.first.model.device)

    def _is_serving(self, models: Models) -> bool:
        return self._is_open and models.first.batcher.watch.is_alive

    async def _ready(self) -> Models:
        """Loads the models at the first call, on the loop that answers them all."""
        self._starting = self._starting or asyncio.ensure_future(self._start())
        await asyncio.shield(self._starting)
        assert self._models is not None
        return self._models

    async def services(self) -> RayServices:
        """The gRPC services, once the models are ready."""
        await self._ready()
        return self._services

    async def check_health(self) -> None:
        """Asked by Ray again and again; a replica that fails three times is replaced. Ray is told the counts each time.

        Raises:
            Draining: a model hangs, or fails on everything.
        """
        models = await self._ready()
        await asyncio.to_thread(self._metrics.publish)
        for served in models:
            if not served.batcher.watch.is_alive:
                raise Draining(f"the model {served.name or served.model.name} does not answer")

    async def stop(self) -> None:
        """Let go of the models and the database; Ray ends the process of a replica without it."""
        self._is_open = False
        for task in self._tasks:
            task.cancel()
        for served in self._models or ():
            await served.stop()
        if self._models is not None and (reports := self._models.common.reports) is not None:
            await reports.close()
        if self._fleet is not None:
            self._fleet.close()

    async def __call__(self, request: Request) -> Response:
        """A request of the HTTP port: the Open Inference Protocol, where it is served."""
        await self._ready()
        if self._form is None or not f"{request.url.path}/".startswith("/v2/"):
            return JSONResponse({"error": "nothing is served at this path"}, 404)
        return await response_of(self._form, request)

    async def Stream(
        self, requests: AsyncIterator[wire.ClassifyRequest], grpc_context: Any
    ) -> AsyncIterator[wire.ClassifyReply]:
        """Many frames; replies come as they are ready."""
        services = await self.services()
        async for reply in services.serve(f"/{parts.OFFLOAD}/Stream", requests, grpc_context):
            yield reply

    async def Watch(
        self, request: health_pb2.HealthCheckRequest, grpc_context: Any
    ) -> AsyncIterator[health_pb2.HealthCheckResponse]:
        """The health of this replica, or of one of its models, now and whenever it changes."""

        async def one() -> AsyncIterator[health_pb2.HealthCheckRequest]:
            yield request

        services = await self.services()
        async for status in services.serve(f"/{_HEALTH}/Watch", one(), grpc_context):
            yield status

    Describe = single(parts.OFFLOAD, "Describe")
    Classify = single(parts.OFFLOAD, "Classify")
    Report = single(parts.OFFLOAD, "Report")
    Check = single(_HEALTH, "Check")


for _method in _OPEN_INFERENCE.methods:
    setattr(Offload, _method.name, single(_OPEN_INFERENCE.full_name, _method.name))


async def _tell_refusals(refusals: RefusalLog) -> None:
    while True:
        await asyncio.sleep(_REFUSALS_EVERY_S)
        refusals.take()
