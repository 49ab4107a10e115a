"""The parts of a server, each built from its settings."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cloud_server.access.authenticator import Authenticator
from cloud_server.access.limits import AccessLimits, read_limits
from cloud_server.access.rates import RateLimiter
from cloud_server.access.refusals import RefusalLog
from cloud_server.api.call_times import methods_of
from cloud_server.api.reports import ReportDesk
from cloud_server.config import ServerConfig
from cloud_server.fleet.frame_archive import ARCHIVED_VERSION, FrameArchive
from cloud_server.fleet.remembered_replies import RememberedReplies
from cloud_server.fleet.reply_cache import ReplyCache, rows_within
from cloud_server.fleet.report_store import ReportStore
from cloud_server.fleet.seams import Replies, SettingsSource
from cloud_server.fleet.settings_folder import SettingsFolder
from cloud_server.fleet.stats import Stats
from cloud_server.model.batching import Batcher, Looks
from cloud_server.model.big import BigModel
from cloud_server.model.decode import Picture, decode, weigh
from cloud_server.model.looks import Look, looks_of
from cloud_server.model.ticket import Run
from edge_sdk.networks.label_groups import label_group
from edge_sdk.networks.label_map import LabelMap, make_label_map, read_label_map
from edge_sdk.types import Image, Region
from edge_sdk.wire import offload_pb2 as wire

if TYPE_CHECKING:
    from cloud_server.api.offload import OffloadService
    from cloud_server.fleet.fleet import Fleet
    from cloud_server.http.page.page import PageParts
    from cloud_server.open_inference.http_form import HttpForm
    from cloud_server.open_inference.inference import Inference
    from cloud_server.open_inference.repository import Offer

VERSION_SHOWN = 16
"""Digits of a version that devices are told."""
OFFLOAD = wire.DESCRIPTOR.services_by_name["Offload"].full_name


def label_map_of(config: ServerConfig, model: BigModel) -> LabelMap:
    """The label map of the settings, or one that changes nothing."""
    if config.label_group:
        return make_label_map(model.labels, label_group(config.label_group))
    if config.label_map is None:
        return make_label_map(model.labels, {})
    return read_label_map(config.label_map, model.labels)


def version_of(model: BigModel, labels: LabelMap) -> str:
    """A hash, hexadecimal, that changes whenever the model or the label map changes."""
    source = repr((model.name, model.fingerprint, labels.labels, labels.index.tolist()))
    return hashlib.sha256(source.encode()).hexdigest()


def describe(config: ServerConfig, model: BigModel, labels: LabelMap, version: str = "") -> wire.Description:
    """The reply to `Describe`."""
    return wire.Description(
        model=model.name,
        labels=labels.labels,
        macs=model.macs,
        input_width=model.input_width,
        input_height=model.input_height,
        parameters=model.parameters,
        reads_probabilities=getattr(model, "reads_little", False),
        looks_twice=Look(config.look).may_be_twice,
        version=version[:VERSION_SHOWN],
        exits=getattr(model, "exits", ()),
    )


def access_limits(config: ServerConfig) -> AccessLimits:
    """The limits of the settings, and of the limits file where they name one."""
    if config.limits_file is None:
        return config.access_limits
    return read_limits(config.limits_file, config.access_limits)


def cached_rows(config: ServerConfig, labels: LabelMap) -> int:
    """How many replies are cached."""
    return rows_within(len(labels.labels), rows=config.cached_replies)


def reply_cache(config: ServerConfig, version: str, labels: LabelMap, fleet: Fleet | None = None) -> Replies:
    """The reply cache: in a database that servers share, else a file where the settings name a state folder."""
    rows = cached_rows(config, labels)
    if fleet is not None and fleet.is_shared:
        from cloud_server.fleet.database.replies import SharedReplies

        return SharedReplies(fleet.engine, version, rows=rows)
    if config.state is None:
        return RememberedReplies(rows)
    return ReplyCache(config.state / "answers.db", version, rows=rows)


def frame_archive(
    config: ServerConfig, model: BigModel, labels: LabelMap, version: str, before: FrameArchive | None = None
) -> FrameArchive | None:
    """The frame archive, beside the one `before` in the same folder; None where the settings name no folder."""
    if config.archive is None:
        return None
    if before is not None:
        shared = before.beside(labels=labels.labels, model=model.name, version=version[:ARCHIVED_VERSION])
        if shared is not None:
            return shared
    return FrameArchive(
        config.archive,
        labels=labels.labels,
        model=model.name,
        version=version[:ARCHIVED_VERSION],
        limit_bytes=config.archive_limit_bytes,
        fraction=config.archive_fraction,
    )


def report_desk(config: ServerConfig, fleet: Fleet | None = None) -> ReportDesk | None:
    """What takes reports, or None where the settings name neither a folder for them nor a database that has them."""
    settings: list[SettingsSource] = [] if config.settings is None else [SettingsFolder(config.settings)]
    if fleet is not None and fleet.settings.can_sign:
        settings.append(fleet.settings)
    if fleet is not None and fleet.is_shared:
        from cloud_server.fleet.database.reports import SharedReports

        return ReportDesk(SharedReports(fleet.engine), *settings)
    return None if config.reports is None else ReportDesk(ReportStore(config.reports), *settings)


def fleet(config: ServerConfig) -> Fleet | None:
    """What people and programs ask of the fleet, or None where nothing of the settings needs it."""
    if not config.needs_fleet:
        return None
    from cloud_server.fleet.fleet import open_fleet

    return open_fleet(config)


def reports_place(config: ServerConfig, fleet: Fleet | None) -> Path | str | None:
    """Where reports are read: a folder, or a database's address; None: none are taken."""
    return config.reports if fleet is None else fleet.reports


def page(config: ServerConfig, fleet: Fleet) -> PageParts:
    """What the page reads and changes."""
    from cloud_server.fleet.tallies import Tallies
    from cloud_server.http.page.access import Proxy
    from cloud_server.http.page.page import PageParts

    assert fleet.reports is not None, "checked with the settings"
    return PageParts(
        fleet=fleet,
        tallies=Tallies(fleet.reports),
        archive=config.archive,
        tokens=config.tokens,
        issues_tokens=config.require_tokens,
        proxy=None if config.page_proxy is None else Proxy(*config.page_proxy),
    )


def authenticator(config: ServerConfig, limits: AccessLimits, fleet: Fleet | None) -> Authenticator:
    """What tells which device calls."""
    issued = None
    if config.require_tokens and fleet is not None:
        from cloud_server.access.issued_tokens import IssuedTokens

        issued = IssuedTokens(fleet.tokens.hashes)
    return Authenticator(
        config.tokens,
        issued,
        max_streams=limits.max_streams,
        max_streams_per_device=limits.max_streams_per_device,
    )


def batcher(
    config: ServerConfig,
    model: BigModel,
    stats: Stats,
    thread: ThreadPoolExecutor | None = None,
    on_batch: Callable[[int], None] = lambda size: None,
    run: Run | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Batcher:
    """The batcher, which decodes and prepares pictures and runs `model` on `thread`; it tells each run's size.

    `run` stands for the model's own, where it has to wait for others.
    """

    def count(size: int) -> None:
        stats.count_batch(size)
        on_batch(size)

    look = Look(config.look)

    def prepare(data: Picture, region: Region | None) -> Looks:
        looks = looks_of(decode(data, config.limits), region, look, model.input_width, model.input_height)
        return tuple(map(model.prepare, looks))

    def sample() -> Image:
        """A picture of noise: blank ones are what a broken model may still answer."""
        shape = (model.input_height, model.input_width, 3)
        return model.prepare(np.random.default_rng(0).integers(0, 256, shape, np.uint8))

    return Batcher(
        stats.measures.timed("decode", prepare),
        run or model.run,
        weigh=partial(weigh, limits=config.limits),
        sample=sample,
        max_batch=config.max_batch,
        max_queue=config.queue,
        max_queue_s=config.max_queue_s,
        max_wait_s=config.max_wait_ms / 1000,
        decoders=config.decoders,
        on_batch=count,
        thread=thread,
        clock=clock,
    )


def guarded_services(config: ServerConfig) -> list[str]:
    """Full names of the services whose calls need a token where the settings have tokens."""
    services = [OFFLOAD]
    if config.open_inference:
        from cloud_server.open_inference.grpc_service import SERVICE

        services.append(SERVICE)
    return services


def methods(config: ServerConfig) -> list[str]:
    """Full names of the methods that are served."""
    from grpc_health.v1 import health_pb2

    files = [wire.DESCRIPTOR, health_pb2.DESCRIPTOR]
    if config.open_inference:
        from cloud_server.open_inference import open_inference_pb2 as oip

        files.append(oip.DESCRIPTOR)
    return methods_of(*files)


def open_inference(
    config: ServerConfig,
    name: str,
    model: BigModel,
    batcher: Batcher,
    service: OffloadService,
    limiter: RateLimiter,
    stats: Stats,
    batches: Callable[[], int],
) -> Inference:
    """What answers the Open Inference Protocol for one model, from the parts that answer devices.

    Args:
        config: its settings.
        name: by which devices ask for it; "": none.
        model: the big model.
        batcher: decodes, and runs it.
        service: has the label map that holds, and counts answers.
        limiter: how fast one caller may send.
        stats: counts what happens.
        batches: gives the runs of the model so far.
    """
    from cloud_server.open_inference.inference import Inference
    from cloud_server.open_inference.served_model import ServedModel

    served = ServedModel(model, lambda: service.labels, min(config.max_batch, config.queue), name)
    return Inference(
        served,
        lambda: batcher,
        lambda: service.labels,
        limiter,
        stats,
        batches=batches,
        on_answer=service.count,
    )


def standard_clients(
    config: ServerConfig,
    server: Any,
    offers: Callable[[], Iterable[Offer]],
    *,
    authenticator: Authenticator,
    stats: Stats,
    refusals: RefusalLog,
    is_serving: Callable[[], bool],
    is_open: Callable[[], bool],
) -> HttpForm:
    """Offer the Open Inference Protocol over gRPC on a server; returns what answers its HTTP form.

    Args:
        config: its settings.
        server: what the generated functions `add_...Servicer_to_server` take.
        offers: the models that answer now.
        authenticator: lets calls in.
        stats: counts what happens.
        refusals: logs who is refused.
        is_serving: whether the server answers.
        is_open: whether it takes calls.
    """
    from cloud_server.open_inference.grpc_service import OpenInferenceService, add_to_server
    from cloud_server.open_inference.http_form import HttpForm
    from cloud_server.open_inference.repository import Repository

    repository = Repository(offers)
    who = authenticator, stats, refusals, is_serving, is_open
    add_to_server(OpenInferenceService(repository, *who), server)
    return HttpForm(repository, *who, max_message(config))


def max_message(config: ServerConfig) -> int:
    """Bytes of the largest message: one picture and what comes with it."""
    return config.limits.max_bytes * 9 // 8 + (256 << 10)


def grpc_options(config: ServerConfig) -> list[tuple[str, int]]:
    """Settings of the gRPC server."""
    return [
        # A picture a little over the limit is answered in-band; beyond that gRPC ends the call, and reads no further.
        ("grpc.max_receive_message_length", max_message(config)),
        # Pictures are compressed already; a compressed message could only be a bomb. gRPC refuses it: UNIMPLEMENTED.
        ("grpc.compression_enabled_algorithms_bitset", 1),
        ("grpc.max_concurrent_streams", 128),  # of one connection: further calls wait at the client
        # With this on, calls that have ended count until they are freed: clients that keep to the limit are reset.
        ("grpc.http.overload_protection", 0),
        ("grpc.max_metadata_size", 8 << 10),
        ("grpc.absolute_max_metadata_size", 16 << 10),
        ("grpc.so_reuseport", 0),  # two servers on one port would share its devices unnoticed
        # A device on a thin link pays for each ping it must answer: no bandwidth probes, a fixed window in their place,
        # and no keepalive before devices close an idle stream by themselves.
        ("grpc.http2.bdp_probe", 0),
        (
            "grpc.http2.lookahead_bytes",
            64 << 10,
        ),  # what lies unread in a stream; a message that is read gets its window
        ("grpc.keepalive_time_ms", 300_000),  # finds devices that vanished without a word
        ("grpc.keepalive_timeout_ms", 60_000),
        ("grpc.http2.min_recv_ping_interval_without_data_ms", 20_000),  # lets clients do the same
    ]
