"""The server as a whole: model, batcher, service and health on one port, from start to drained end."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING

import grpc

from cloud_server import parts
from cloud_server.access.authenticator import Authenticator
from cloud_server.access.limits import AccessLimits
from cloud_server.access.rates import RateLimiter
from cloud_server.access.refusals import RefusalLog
from cloud_server.access.tls import ServerCertificate
from cloud_server.api.call_times import CallTimes
from cloud_server.api.interceptor import TokenInterceptor
from cloud_server.api.offload import OffloadService
from cloud_server.begin import load_models, offer
from cloud_server.config import ServerConfig
from cloud_server.fleet.stats import Stats
from cloud_server.health import Health
from cloud_server.listening import bare_host, listen, warn_if_descriptors_run_out
from cloud_server.lookout import DEAD, Lookout
from cloud_server.memory import return_large_blocks
from cloud_server.model.batching import Batcher, Draining
from cloud_server.model.big import BigModel
from cloud_server.reload import Reload
from cloud_server.renewal import Renewal
from cloud_server.reread import Reread
from cloud_server.tracing import open_traces
from edge_sdk.durable.clock import RELEASED_S
from edge_sdk.security.place import authority

if TYPE_CHECKING:
    from cloud_server.fleet.fleet import Fleet
    from cloud_server.http.endpoint import Endpoint
    from cloud_server.open_inference.http_form import HttpForm

__all__ = ["CloudServer", "ServerConfig"]

_log = logging.getLogger(__name__)

SERVICE = parts.OFFLOAD
SUMMARY_EVERY_S = 60.0
_WRITE_S = 0.5
"""Seconds for the last replies to leave."""
_CLOCK = "the log, days of the archive and the dates of certificates go by it"
DATES_EVERY_S = 86_400.0
UNHEARD = 3
"""Encrypted connections within a minute that are told where none leads to a call."""


def _tell_nobody(device: str, pem: bytes) -> None:
    """Certificates are not used."""


class CloudServer:
    """A server to embed: `async with CloudServer(ServerConfig(port=0)) as server: ... server.address`.

    Args:
        config: its settings.
        model: a model to serve in place of the one that `config.model` names.
        clock: seconds, monotonic.
        reread: reads the config file again at a reload; None: there is none.

    Attributes:
        address: "host:port", once it has started.
        http_address: "host:port" of `/metrics` and `/healthz`, once it has started; empty without `http_port`.
        stats: what it did.
    """

    def __init__(
        self,
        config: ServerConfig,
        model: BigModel | None = None,
        clock: Callable[[], float] = time.monotonic,
        reread: Reread | None = None,
    ) -> None:
        self._config, self._clock, self._reread = config, clock, reread
        self._given = model
        self._health = Health()
        self._serving = False
        self._endpoint: Endpoint | None = None
        self._form: HttpForm | None = None
        self._refusals = RefusalLog()
        self._fleet: Fleet | None = None
        self.stats = Stats()
        self.address = ""
        self.http_address = ""

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
        return_large_blocks()
        self._traces = open_traces(self._config.traces)
        limits = parts.access_limits(self._config)
        self._fleet = await asyncio.to_thread(parts.fleet, self._config)
        try:
            await self._begin(limits)
        except BaseException:
            if self._fleet is not None:
                self._fleet.close()
            raise

    async def _begin(self, limits: AccessLimits) -> None:
        authenticator = await asyncio.to_thread(parts.authenticator, self._config, limits, self._fleet)
        self._certificate = None if self._config.tls is None else ServerCertificate(self._config.tls)
        self._tell_dates()
        if time.time() < RELEASED_S:
            now = datetime.now(UTC)
            _log.warning(
                "this machine's clock says %s, which is wrong: set it; until then %s", f"{now:%Y-%m-%d}", _CLOCK
            )
        self._guard = guard = TokenInterceptor(
            parts.guarded_services(self._config), authenticator, self.stats, self._refusals
        )
        times = CallTimes(self.stats.measures, parts.methods(self._config))
        self._server = grpc.aio.server(options=parts.grpc_options(self._config), interceptors=[times, guard])
        try:
            port = self._bind()
            await self._prepare(authenticator, limits)
        except BaseException:
            await self._server.start()  # only a server that has started gives its port back
            await self._server.stop(None)
            raise
        await self._server.start()
        self.address = authority(bare_host(self._config.host), port)
        self._serving = True
        self._reporter = asyncio.create_task(self._report(), name="summary")
        self._watcher = asyncio.create_task(self._lookout.run(), name="watch")
        self._calendar = asyncio.create_task(self._tell_dates_daily(), name="dates")
        _log.info("listening on %s", self.address)

    async def _prepare(self, authenticator: Authenticator, limits: AccessLimits) -> None:
        config = self._config
        limiter = RateLimiter(limits.max_frames_per_s, limits.burst)
        self._models = await load_models(
            config,
            fleet=self._fleet,
            authenticator=authenticator,
            limiter=limiter,
            stats=self.stats,
            refusals=self._refusals,
            traces=self._traces,
            tell_dates=self._certificate.tell_date_of if self._certificate is not None else _tell_nobody,
            given=self._given,
            clock=self._clock,
        )
        self._lookout = Lookout(
            self._models, self._health, grace_s=config.model_grace_s, issued=authenticator.issued, clock=self._clock
        )
        renewal = Renewal(
            config,
            authenticator=authenticator,
            limiter=limiter,
            limits=limits,
            certificate=self._certificate,
            models=self._models,
            reread=self._reread,
        )
        self._reload = Reload(renewal.parts)
        self._form = offer(
            self._models,
            self._health,
            self._server,
            is_serving=lambda: self.is_serving,
            is_open=lambda: self._serving,
        )
        try:
            await self._models.start()
            if config.http_port is not None:
                from cloud_server.http.opening import open_endpoint

                self._endpoint = open_endpoint(
                    config,
                    config.http_port,
                    self._models,
                    authenticator=authenticator,
                    stats=self.stats,
                    is_serving=lambda: self.is_serving,
                    fleet=self._fleet,
                    reports=self._models.common.reports,
                    certificate=self._certificate,
                    open_inference=self._form,
                )
                self.http_address = self._endpoint.address
        except BaseException:
            await self._end_models()
            raise
        await self._lookout.tell_health()

    @property
    def _service(self) -> OffloadService:
        return self._models.first.service

    @property
    def _batcher(self) -> Batcher:
        return self._models.first.batcher

    async def _end_models(self) -> None:
        await self._models.finished()
        for served in self._models:
            await served.stop()
        if (reports := self._models.common.reports) is not None:
            await reports.close()

    @property
    def is_serving(self) -> bool:
        """Whether health says SERVING: started, not draining, and the model answers."""
        return self._serving and self._batcher.watch.is_alive

    async def broken(self) -> None:
        """Return once the model has hung, or failed on everything, for `model_grace_s`: only a restart may help."""
        await self._lookout.broken.wait()

    async def stop(self) -> bool:
        """Drain and end: new frames are answered DRAINING, those in flight get their answer, within `drain_s`.

        Where the model is broken, those in flight are told to come again.

        Returns:
            Whether all in flight were answered.
        """
        drained = True
        self._serving = False
        self._watcher.cancel()
        self._calendar.cancel()
        await self._health.end()
        for served in self._models:
            served.batcher.close()
            if self._lookout.broken.is_set():
                served.batcher.give_up(Draining(DEAD))
        try:
            async with asyncio.timeout(self._config.drain_s):
                for served in self._models:
                    await served.batcher.drained()
                    await served.service.end_streams()
        except TimeoutError:
            drained = False
            pending = sum(served.batcher.pending for served in self._models)
            _log.warning("%d frames were not answered within %g s of draining", pending, self._config.drain_s)
        # A call that has just returned still has its status to send; a health watcher would wait for ever.
        await self._server.stop(grace=_WRITE_S if drained else None)
        if self._form is not None and drained:
            with suppress(TimeoutError):
                async with asyncio.timeout(_WRITE_S):
                    await self._form.finished()
        await self._end_models()
        if self._endpoint is not None:
            await asyncio.to_thread(self._endpoint.close)
        self._reporter.cancel()
        if self._fleet is not None:
            await asyncio.to_thread(self._fleet.close)
        await asyncio.to_thread(self._traces.close)
        _log.info("ended; since the last summary: %s", self.stats.take())
        return drained

    async def reload(self) -> bool:
        """Read config file, tokens, certificates, label map and limits again, as SIGHUP asks; the log says what came.

        Returns:
            Whether all could be used. What could not is as before.
        """
        outcome = await self._reload()
        await self._lookout.tell_health()
        self._tell_dates()
        return outcome

    def _tell_dates(self) -> None:
        if self._certificate is not None:
            self._certificate.tell_dates()

    async def _tell_dates_daily(self) -> None:
        while True:
            await asyncio.sleep(DATES_EVERY_S)
            self._tell_dates()

    def _tell_handshakes(self) -> None:
        """Warn where connections begin and none leads to a call: one side refuses the other's certificate."""
        begun = 0 if self._certificate is None else self._certificate.take_handshakes()
        if self._guard.take_calls() == 0 and begun >= UNHEARD:
            _log.warning(
                "%d encrypted connections began within a minute, and no call came of them: devices may refuse this "
                "server's certificate, or show none that it accepts",
                begun,
            )

    def _bind(self) -> int:
        certificate = self._certificate

        def take(where: str) -> int:
            if certificate is None:
                return int(self._server.add_insecure_port(where))
            return int(self._server.add_secure_port(where, certificate.credentials()))

        return listen(bare_host(self._config.host), self._config.port, take)

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(SUMMARY_EVERY_S)
            self._refusals.take()
            self._tell_handshakes()
            warn_if_descriptors_run_out()
            if summary := self.stats.take():
                _log.info("%s", summary)
