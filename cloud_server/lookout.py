"""Looks after the models while the server runs: health follows them, memory is given back, what is dead is told."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from cloud_server.access.issued_tokens import IssuedTokens
from cloud_server.health import Health
from cloud_server.memory import Trimmer
from cloud_server.model.batching import Draining
from cloud_server.models import Models, Served

__all__ = ["DEAD", "Lookout"]

_log = logging.getLogger(__name__)

WATCH_EVERY_S = 1.0
DEAD = "the model does not answer, and this server may be started again: send this frame again later, or elsewhere"


class Lookout:
    """Looks at each model every `WATCH_EVERY_S`.

    Args:
        models: that are served.
        health: told what serves.
        grace_s: a model that does not answer for so long is broken.
        issued: tokens that others may have changed, read again now and then; None: there are none.
        clock: seconds, monotonic.

    Attributes:
        broken: set once a model is broken: only a restart of the process may help.
    """

    def __init__(
        self,
        models: Models,
        health: Health,
        *,
        grace_s: float,
        issued: IssuedTokens | None,
        clock: Callable[[], float],
    ) -> None:
        self._models, self._health = models, health
        self._grace_s, self._issued, self._clock = grace_s, issued, clock
        self.broken = asyncio.Event()
        self._dead: dict[Served, float] = {}
        self._checks: dict[Served, asyncio.Task[None]] = {}

    async def tell_health(self) -> None:
        """Tell health of all models as they are now, the first one first."""
        first = self._models.first
        in_order = sorted(self._models, key=lambda served: served is not first)
        await self._health.tell((served.name, served.batcher.watch.is_alive) for served in in_order)

    async def run(self) -> None:
        """Look until it is cancelled."""
        refreshing: asyncio.Task[None] | None = None
        trimmer = Trimmer()
        while True:
            await asyncio.sleep(WATCH_EVERY_S)
            trimmer.look()
            if self._issued is not None and (refreshing is None or refreshing.done()):
                refreshing = asyncio.create_task(asyncio.to_thread(self._issued.refresh), name="tokens")
            served = list(self._models)
            for one in served:
                await self._look(one)
            self._dead = {one: since for one, since in self._dead.items() if one in served}
            self._checks = {one: check for one, check in self._checks.items() if one in served}

    async def _look(self, served: Served) -> None:
        watch, now = served.batcher.watch, self._clock()
        if watch.wants_check and (served not in self._checks or self._checks[served].done()):
            self._checks[served] = asyncio.create_task(served.batcher.check(), name="check")
        if watch.is_alive == (served in self._dead):
            if watch.is_alive:
                del self._dead[served]
            else:
                self._dead[served] = now
            await self._offer(served, watch.is_alive)
        if served in self._dead and now - self._dead[served] >= self._grace_s:
            self.broken.set()

    async def _offer(self, served: Served, is_alive: bool) -> None:
        """Tell health, the log and new frames whether a model answers."""
        await self.tell_health()
        what = f"the model {served.name}" if served.name else "the model"
        served.batcher.refuse(None if is_alive else Draining(DEAD))
        if is_alive:
            _log.info("%s is offered again: health says SERVING", what)
        else:
            _log.error("%s hangs or fails on everything: health says NOT_SERVING; a restart may help", what)
