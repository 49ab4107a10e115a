"""What a server and a replica of Ray Serve do alike when they start: load the models, and offer their services."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from grpc_health.v1 import health_pb2_grpc

from cloud_server import parts
from cloud_server.access.authenticator import Authenticator
from cloud_server.access.rates import RateLimiter
from cloud_server.access.refusals import RefusalLog
from cloud_server.api.routed import RoutedService
from cloud_server.api.windows import Windows
from cloud_server.common import Common
from cloud_server.config import ServerConfig
from cloud_server.fleet.seams import Replies
from cloud_server.fleet.stats import Stats
from cloud_server.health import Health
from cloud_server.model.big import BigModel
from cloud_server.models import Models
from cloud_server.tracing import Traces
from edge_sdk.wire import offload_pb2_grpc as wire_grpc

if TYPE_CHECKING:
    from cloud_server.fleet.fleet import Fleet
    from cloud_server.open_inference.http_form import HttpForm


async def load_models(
    config: ServerConfig,
    *,
    fleet: Fleet | None,
    authenticator: Authenticator,
    limiter: RateLimiter,
    stats: Stats,
    refusals: RefusalLog,
    traces: Traces,
    tell_dates: Callable[[str, bytes], None],
    given: BigModel | None = None,
    shared_replies: Callable[[str, int], Replies] | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Models:
    """Open what takes reports, and load the models; `Models.common` has all that they share.

    Args:
        config: the settings.
        fleet: the database; None: there is none.
        authenticator: lets calls in.
        limiter: how fast a device may send.
        stats: counts what happens.
        refusals: logs who is refused.
        traces: records what happens to each frame.
        tell_dates: called with a device's name and its certificate.
        given: a model in place of the one that the settings name.
        shared_replies: as of `Common`.
        clock: seconds, monotonic.

    Raises:
        ConfigError: a setting cannot be used. Nothing of this is left open.
    """
    reports = await asyncio.to_thread(parts.report_desk, config, fleet)
    models = Models(
        Common(
            config=config,
            fleet=fleet,
            authenticator=authenticator,
            limiter=limiter,
            stats=stats,
            refusals=refusals,
            traces=traces,
            tell_dates=tell_dates,
            reports=reports,
            windows=Windows(config.stream_window, config.queue),
            shared_replies=shared_replies,
            clock=clock,
        )
    )
    try:
        await models.load(given)
    except BaseException:
        if reports is not None:
            await reports.close()
        raise
    return models


def offer(
    models: Models,
    health: Health,
    server: Any,
    *,
    is_serving: Callable[[], bool],
    is_open: Callable[[], bool],
) -> HttpForm | None:
    """Offer the services of the models: to devices, to who asks for health, and to standard clients by option.

    Args:
        models: that are loaded.
        health: tells of them.
        server: what the generated functions `add_...Servicer_to_server` take.
        is_serving: whether it answers.
        is_open: whether it takes calls.

    Returns:
        What answers standard clients over HTTP; None: nothing does.
    """
    common = models.common
    service: wire_grpc.OffloadServicer = models.first.service
    if common.config.models is not None:
        service = RoutedService(lambda name, device: models.of(name, device).service, common.authenticator)
    wire_grpc.add_OffloadServicer_to_server(service, server)
    health_pb2_grpc.add_HealthServicer_to_server(health.servicer, server)
    if not common.config.open_inference:
        return None
    return parts.standard_clients(
        common.config,
        server,
        models.offers,
        authenticator=common.authenticator,
        stats=common.stats,
        refusals=common.refusals,
        is_serving=is_serving,
        is_open=is_open,
    )
