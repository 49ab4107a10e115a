"""The calls of the wire (Describe, Classify, Stream, Report), and the walk of one frame through the server.

Read this file from top to bottom to follow a frame:

    request   Classify or Stream       1 who calls: token, certificate or address        access/authenticator.py
              answer                   2 how fast it may send                            access/rates.py
                                       3 frame id and probabilities                      api/request.py
              _classify                4 answered before? the cached reply               fleet/reply_cache.py
                                       5 being answered? join that run                   api/in_flight.py
              _run                     6 header check and decoding                       model/decode.py
                                       7 a place in a batch, and the big model           model/batching.py, model/big.py
                                       8 from its labels to the devices'                 networks/label_map.py
                                       9 cache the reply, offer the frame to the archive fleet/
    reply     answer                  10 a classification, or a failure with its code    api/failures.py

A token is checked once more before all this, in `interceptor.py`, before the message is read. Every frame is answered
in-band, in a unary call as in a stream: a `Failure` with a code and a message, never a gRPC status, so that a device
handles both alike and one bad frame never ends a stream. Only a caller that is not let in, or no longer, gets a status.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

import grpc

from cloud_server.access.authenticator import Authenticator, Caller, TooManyStreams, Unauthenticated
from cloud_server.access.rates import RateLimited, RateLimiter
from cloud_server.access.refusals import RefusalLog
from cloud_server.api.failures import end_call, failure_of, let_in, outcome_of, tell_failure
from cloud_server.api.in_flight import InFlight
from cloud_server.api.reports import ReportDesk
from cloud_server.api.request import ID_SHOWN, Frame, check_request
from cloud_server.api.streams import OpenCalls, Unread, serve_stream
from cloud_server.api.windows import Windows
from cloud_server.fleet.frame_archive import ARCHIVED_VERSION, AnsweredFrame, FrameArchive
from cloud_server.fleet.reply_cache import CachedReply, key_of
from cloud_server.fleet.seams import Replies
from cloud_server.fleet.stats import Stats
from cloud_server.log_format import about
from cloud_server.model.batching import Answered, Batcher
from cloud_server.tracing import NoTraces, Trace, Traces, parent_of
from edge_sdk.errors import EdgeError
from edge_sdk.networks.label_map import LabelMap
from edge_sdk.wire import offload_pb2 as wire
from edge_sdk.wire import offload_pb2_grpc as wire_grpc

_log = logging.getLogger(__name__)
_RENEW_S = 5.0
"""Seconds for the replies of streams that end because the labels change."""
_ANYONE = ""
"""Owner of the frames of devices without a proven name: their addresses change under way."""


class OffloadService(wire_grpc.OffloadServicer):  # type: ignore[misc]
    """Answers frames, each id once.

    A repeated id joins the run that is under way, or gets the cached reply: the model does not run again. The same id
    with other bytes is refused. Only classifications are cached, no failures.

    Args:
        batcher: decodes and classifies.
        labels: from the model's labels to those of the wire.
        description: the reply to `Describe`.
        cache: the replies given so far.
        authenticator: lets calls in.
        limiter: how fast a device may send.
        stats: counts what happens.
        refusals: logs who is refused.
        tell_dates: called with a device's name and its certificate (PEM) when it describes itself by one.
        traces: records what happens to each frame.
        archive: keeps the frames that the model answered; None: no frame is kept.
        reports: takes what devices tell of themselves; None: `Report` is not implemented, as on older servers.
        windows: frames of one device in flight on streams; beyond them its streams are not read.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        batcher: Batcher,
        labels: LabelMap,
        description: wire.Description,
        *,
        cache: Replies,
        authenticator: Authenticator,
        limiter: RateLimiter,
        stats: Stats,
        refusals: RefusalLog,
        tell_dates: Callable[[str, bytes], None] = lambda device, pem: None,
        traces: Traces | None = None,
        archive: FrameArchive | None = None,
        reports: ReportDesk | None = None,
        windows: Windows | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._batcher, self._labels, self._description = batcher, labels, description
        self._cache, self._authenticator, self._limiter = cache, authenticator, limiter
        self._stats, self._archive, self._reports, self._clock = stats, archive, reports, clock
        self._traces = traces or NoTraces()
        self._windows = windows or Windows(32, 128)
        self._refusals, self._on_certificate = refusals, tell_dates
        self._is_settled = asyncio.Event()  # not while the labels change
        self._is_settled.set()
        self._in_flight = InFlight()
        self._calls = OpenCalls()

    @property
    def labels(self) -> LabelMap:
        """The label map that holds now."""
        return self._labels

    @property
    def version(self) -> str:
        """Of model and label map, as devices are told; "": they are told none."""
        return self._description.version

    async def Describe(self, request: wire.DescribeRequest, context: Any) -> wire.Description:
        """The model's name, size and labels."""
        caller = await self._authenticate(context)
        await self._is_settled.wait()
        self._tell_dates(caller, context)
        return self._description

    async def Classify(self, request: wire.ClassifyRequest, context: Any) -> wire.ClassifyReply:
        """One frame, one reply."""
        caller = await self._authenticate(context)
        answering = self.answer(request, caller, parent_of(context.invocation_metadata()))
        del request  # the picture is held by who works on it
        with self._calls.one():
            return await answering

    async def Stream(self, requests: AsyncIterator[wire.ClassifyRequest], context: Any) -> None:
        """Many frames; replies are written as they are ready. Ends when the device ends it, or after `end_streams`."""
        caller = await self._authenticate(context)
        await self._is_settled.wait()
        parent = parent_of(context.invocation_metadata())
        answer, check = (
            partial(self.answer, caller=caller, parent=parent),
            partial(self._authenticator.check, caller),
        )
        refuse = partial(self._refused, caller=caller)
        refusal: Exception | None = None
        with self._calls.one():
            try:
                with self._authenticator.stream(caller):
                    windows, device = self._windows, caller.name
                    await serve_stream(
                        context, answer, self._calls, windows=windows, device=device, check=check, refuse=refuse
                    )
            except* (TooManyStreams, Unauthenticated) as refused:
                refusal = refused.exceptions[0]
            except* (grpc.aio.BaseError, Unread) as gone:
                _log.debug("a device left its stream: %r", gone.exceptions[0])
        if refusal is not None:
            await end_call(context, refusal, self._stats, self._refusals, caller)

    async def Report(self, request: wire.ReportRequest, context: Any) -> wire.ReportReply:
        """What a device tells of itself; a report counts as a frame against the device's rate."""
        caller = await self._authenticate(context)
        if self._reports is None:
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, "this server keeps no reports (--reports)")
        assert self._reports is not None
        try:
            self._limiter.spend(caller.name)
            with self._calls.one():
                return await self._reports.take(request, caller.device)
        except EdgeError as error:
            tell_failure(self._refusals, caller, error)
            await context.abort(outcome_of(error).status, str(error))
            raise  # not reached: `abort` raises

    async def _authenticate(self, context: Any) -> Caller:
        return await let_in(context, self._authenticator, self._stats, self._refusals)

    def _tell_dates(self, caller: Caller, context: Any) -> None:
        for pem in context.auth_context().get("x509_pem_cert", [])[:1]:
            self._on_certificate(caller.name, pem)

    async def answer(self, request: wire.ClassifyRequest, caller: Caller, parent: str = "") -> wire.ClassifyReply:
        """The reply to one request; raises nothing but cancellation.

        Args:
            request: as it came.
            caller: whose it is.
            parent: the `traceparent` of its call; "": it has none.
        """
        frame_id = request.frame_id[:ID_SHOWN]
        trace = self._traces.begin(parent, frame_id, caller.device, len(request.image))
        with about(frame_id, caller.device, trace.trace_id):
            try:
                self._limiter.spend(caller.name)
                frame = check_request(request, max(self._labels.index.size, len(self._labels.labels)))
                classifying = self._classify(frame, caller, trace)
                del request, frame
                classification = await classifying
            except Exception as error:
                reply = self._failed(frame_id, error, caller)
                trace.end(wire.Failure.Code.Name(reply.failure.code))
                return reply
            except BaseException:
                trace.end("CANCELLED")
                raise
            if name := self._exit_name(classification.exit):
                trace.tell("edge_sdk.exit", name)
            trace.end()
            _log.debug("answered %s, %.3f", classification.label, classification.confidence)
            return wire.ClassifyReply(frame_id=frame_id, classification=classification)

    def count(self, output: Answered) -> int:
        """Count an answer of the model; returns its exit as `Classification.exit` has it."""
        place = 0 if output.exit is None else output.exit + 1
        self._stats.measures.count_answer(self._description.model, self._description.version)
        if name := self._exit_name(place):
            self._stats.measures.count_exit(self._description.model, name)
        return place

    def _exit_name(self, place: int) -> str:
        """The name of `Classification.exit`; "": the model has no exits."""
        exits = self._description.exits
        return exits[place - 1] if 0 < place <= len(exits) else ""

    def _refused(self, request: wire.ClassifyRequest, error: Exception, caller: Caller) -> wire.ClassifyReply:
        return self._failed(request.frame_id[:ID_SHOWN], error, caller)

    def _failed(self, frame_id: str, error: Exception, caller: Caller) -> wire.ClassifyReply:
        """The reply to a frame that is not classified; it is counted and, where it is the device's doing, logged."""
        failure = failure_of(error)
        tell_failure(self._refusals, caller, error)
        code = wire.Failure.Code.Name(failure.code)
        self._stats.count_failure(code)
        reason = "RATE_LIMITED" if isinstance(error, RateLimited) else code
        self._stats.measures.count_refusal(caller.device, caller.is_proven, reason)
        return wire.ClassifyReply(frame_id=frame_id, failure=failure)

    async def _classify(self, frame: Frame, caller: Caller, trace: Trace) -> wire.Classification:
        """The cached reply, or that of the run under way, or of a new run."""
        self._stats.measures.picture_bytes += len(frame.image)
        key = key_of(caller.name if caller.is_proven else _ANYONE, frame.frame_id)
        if key not in self._in_flight and (cached := await self._cache.get(key)) is not None:
            frame.check_same(cached.digest)
            self._stats.repeats += 1
            return wire.Classification.FromString(cached.classification)
        run = self._in_flight.get(key)
        if run is None:
            run = self._in_flight.start(key, frame.digest, partial(self._run, key, frame, caller, trace))
        else:
            frame.check_same(run.digest)
            self._stats.repeats += 1
        answered = self._in_flight.join(key, run)
        del frame, run  # a repeat holds no second copy of the picture
        return await answered

    async def _run(
        self, key: bytes, frame: Frame, caller: Caller, trace: Trace, on_start: Callable[[], None]
    ) -> wire.Classification:
        """Decode the picture, run the model in a batch, translate its labels, and cache the reply before it leaves."""
        began, received_at = self._clock(), datetime.now(UTC)
        stages, started = self._stats.measures.stages, began

        def begin() -> None:
            nonlocal started
            started = self._clock()
            stages["queue"].count(started - began)
            now_s = time.time()
            trace.stage("queue", now_s - (started - began), now_s)
            on_start()

        output = await self._batcher.submit(
            frame.image,
            frame.little,
            begin,
            caller.name,
            frame.region,
            frame.wait_s,
            on_decoded=partial(trace.stage, "decode"),
        )
        ran_s = self._clock() - started
        stages["run"].count(ran_s)
        now_s = time.time()
        trace.stage("model", now_s - ran_s, now_s)
        probabilities = self._labels.apply(output.probabilities)
        self._stats.count_answer(self._clock() - began)
        exit_place = self.count(output)
        values = probabilities.tolist()
        top = values.index(max(values))
        classification = wire.Classification(
            label=self._labels.labels[top],
            confidence=values[top],
            probabilities=values,
            macs=output.macs,
            exit=exit_place,
        )
        if self._archive is not None:  # before the labels could change
            self._archive.offer(
                AnsweredFrame(
                    frame.frame_id,
                    frame.image,
                    caller.device,
                    received_at,
                    probabilities,
                    event=frame.event,
                    region=frame.region,
                )
            )
        await self._cache.put(key, CachedReply(frame.digest, classification.SerializeToString()))
        return classification

    async def change_labels(self, labels: LabelMap, description: wire.Description, version: str, rows: int) -> None:
        """Answer by another label map: streams end, devices ask anew what the labels are, old replies are dropped.

        Args:
            labels: the new map.
            description: the reply to `Describe`.
            version: of model and label map.
            rows: replies that are cached.
        """
        self._is_settled.clear()
        try:
            await self._calls.renew(_RENEW_S)
            self._labels, self._description = labels, description
            if self._archive is not None:
                self._archive.change_labels(labels.labels, version[:ARCHIVED_VERSION])
            await self._cache.change_source(version, rows)
        finally:
            self._is_settled.set()

    async def renew(self) -> None:
        """End the streams that are open, so that their devices come again and ask anew what the labels are."""
        await self._calls.renew(_RENEW_S)

    async def end_streams(self) -> None:
        """Stop reading the streams, write what is ready, and return when no call is left and all replies are cached."""
        await self._calls.end()
        await self._in_flight.finished()

    async def close(self) -> None:
        """Cancel what still runs; afterwards the replies that were given are on the disk."""
        await self._in_flight.cancel()
        if self._archive is not None:
            await asyncio.to_thread(self._archive.close)
        await self._cache.close()
