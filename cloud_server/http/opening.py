"""What `--http` opens: metrics and health, standard clients, the page and the admin API, on one endpoint."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from cloud_server import parts
from cloud_server.access.authenticator import Authenticator
from cloud_server.access.tls import ServerCertificate
from cloud_server.api.reports import ReportDesk
from cloud_server.config import ServerConfig
from cloud_server.fleet.stats import Stats
from cloud_server.fleet.tallies import Tallies
from cloud_server.http.app import make_app
from cloud_server.http.endpoint import Endpoint
from cloud_server.http.metrics import Gauges, StatsCollector, registry_of
from cloud_server.models import Models

if TYPE_CHECKING:
    from cloud_server.fleet.fleet import Fleet
    from cloud_server.open_inference.http_form import HttpForm

_log = logging.getLogger(__name__)


def open_endpoint(
    config: ServerConfig,
    port: int,
    models: Models,
    *,
    authenticator: Authenticator,
    stats: Stats,
    is_serving: Callable[[], bool],
    fleet: Fleet | None,
    reports: ReportDesk | None,
    certificate: ServerCertificate | None,
    open_inference: HttpForm | None,
) -> Endpoint:
    """An endpoint that serves until it is closed.

    Args:
        config: says where, and which parts.
        port: 0 takes a free one.
        models: whose queues and replies the metrics tell.
        authenticator: whose streams they tell.
        stats: what happened.
        is_serving: whether health says so.
        fleet: the page and the admin API read and change it; None: there are none.
        reports: what devices told of themselves; None: they tell nothing.
        certificate: encrypts, where the settings ask for it.
        open_inference: answers standard clients; None: there are none.

    Raises:
        ConfigError: it cannot listen there.
    """
    place = parts.reports_place(config, fleet)
    gauges = Gauges(
        waiting=lambda: models.waiting,
        streams=authenticator.open_streams,
        cached=lambda: models.cached,
        archived_bytes=lambda: models.archived_bytes,
        devices=None if reports is None else reports.latest,
        tallies=None if place is None else Tallies(place).read,
        labels=lambda: {label for served in models for label in served.labels.labels},
        labelled=None if fleet is None else fleet.labelled_audits.read,
    )
    registry = registry_of(StatsCollector(stats, gauges, models.first.model.name))
    api, app = make_app(registry, is_serving, open_inference)
    if fleet is not None:
        from cloud_server.http.admin.routes import mount_admin

        mount_admin(api, fleet, is_serving)
    if config.page and fleet is not None:
        from cloud_server.http.page.routes import add_page

        add_page(api, parts.page(config, fleet))
    tls = certificate.for_browsers() if certificate is not None and config.http_tls else None
    endpoint = Endpoint(config.http_host, port, app, tls)
    scheme = "http" if tls is None else "https"
    if config.page:
        _log.info("the page on %s://%s/", scheme, endpoint.address)
    _log.info("metrics on %s://%s/metrics", scheme, endpoint.address)
    return endpoint
