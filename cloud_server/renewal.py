"""The parts of a server that a reload renews: config file, tokens, certificate, label map, limits."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import numpy as np

from cloud_server import parts
from cloud_server.access.authenticator import Authenticator
from cloud_server.access.limits import AccessLimits
from cloud_server.access.rates import RateLimiter
from cloud_server.access.tls import ServerCertificate
from cloud_server.config import ServerConfig
from cloud_server.models import Models
from cloud_server.reload import Part
from cloud_server.reread import Reread


class Renewal:
    """Reads the files of the settings again, and changes the parts that were made of them; used on the event loop.

    Args:
        config: names the files.
        authenticator: knows the tokens, and counts streams.
        limiter: knows the rates.
        limits: those that hold.
        certificate: of the server; None: the link is not encrypted.
        models: those that answer; the label map of the settings is the first one's.
        reread: reads the config file again; None: there is none.
    """

    def __init__(
        self,
        config: ServerConfig,
        *,
        authenticator: Authenticator,
        limiter: RateLimiter,
        limits: AccessLimits,
        certificate: ServerCertificate | None,
        models: Models,
        reread: Reread | None = None,
    ) -> None:
        self._config, self._authenticator, self._limiter, self._limits = config, authenticator, limiter, limits
        self._certificate, self._models, self._reread = certificate, models, reread
        self._labels_wait = False  # the config file names other labels than those that hold

    def parts(self) -> Iterator[Part]:
        """What the settings name a file for; the config file comes first, and those after it are as it says."""
        if self._reread is not None:
            yield Part(f"config file {self._reread.path}", self._renew_config)
        config = self._config
        labels = config.label_map if config.models is None else None
        named = (
            ("tokens file", config.tokens, self._renew_tokens),
            ("certificate", None if config.tls is None else config.tls.cert, self._renew_certificate),
            (
                "label map",
                labels or (config.label_group or "of the model" if self._labels_wait else None),
                self._renew_labels,
            ),
            ("models of" if config.models == config.config_file else "models file", config.models, self._models.renew),
            ("limits file", config.limits_file, self._renew_limits),
        )
        yield from (Part(f"{name} {path}", renew) for name, path, renew in named if path is not None)

    async def _renew_config(self) -> str:
        assert self._reread is not None
        before = self._config
        self._config, told = await asyncio.to_thread(self._reread.take, before)
        if self._config.limits_file is None and self._config.access_limits != before.access_limits:
            await self._renew_limits()
        labels = (self._config.label_map, self._config.label_group)
        self._labels_wait |= self._config.models is None and labels != (before.label_map, before.label_group)
        return ", ".join(told)

    async def _renew_tokens(self) -> str:
        return self._authenticator.reload()

    async def _renew_certificate(self) -> str:
        assert self._certificate is not None
        return await asyncio.to_thread(self._certificate.reload)

    async def _renew_limits(self) -> str:
        old, self._limits = self._limits, parts.access_limits(self._config)
        self._limiter.change(self._limits.max_frames_per_s, self._limits.burst)
        self._authenticator.change_streams(self._limits.max_streams, self._limits.max_streams_per_device)
        return old.difference(self._limits)

    async def _renew_labels(self) -> str:
        first = self._models.first
        labels, old = await asyncio.to_thread(parts.label_map_of, self._config, first.model), first.labels
        self._labels_wait = False
        if labels.labels == old.labels and np.array_equal(labels.index, old.index):
            return ""
        version = await asyncio.to_thread(parts.version_of, first.model, labels)
        description = parts.describe(self._config, first.model, labels, version)
        await first.service.change_labels(labels, description, version, parts.cached_rows(self._config, labels))
        first.labels = labels
        return f"{len(labels.labels)} labels in place of {len(old.labels)}; devices ask for them anew"
