"""The three calls of the wire: Describe, Classify and Stream.

Every frame is answered in-band, in a unary call as in a stream: a `Failure` with a code and a message, never a gRPC
status, so that a device handles both alike and one bad frame never ends a stream. Only a caller that is not let in, or
no longer, gets a status (`failures.py` has the table).
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import grpc
import numpy as np

from cloud_server.access.authenticator import Authenticator, Caller, TooManyStreams, Unauthenticated
from cloud_server.access.rates import RateLimiter
from cloud_server.api.failures import BadRequest, end_call, failure_of
from cloud_server.fleet.frame_archive import AnsweredFrame, FrameKeeper
from cloud_server.fleet.reply_cache import CachedReply, ReplyCache, key_of
from cloud_server.fleet.stats import Stats
from cloud_server.model.batching import Batcher, Little
from cloud_server.model.labels import LabelMap
from edge_sdk.wire import offload_pb2 as wire
from edge_sdk.wire import offload_pb2_grpc as wire_grpc

_log = logging.getLogger(__name__)
_FRAME_ID = re.compile(r"[0-9a-fA-F]{32}")
_ANYONE = ""
"""Whose frames those of devices without a proven name are: their addresses change under way."""


@dataclass(frozen=True, slots=True, eq=False)
class _Frame:
    """A frame as a device sent it, checked."""

    frame_id: str
    image: bytes
    little: Little
    digest: bytes


@dataclass(slots=True, eq=False)
class _InFlight:
    """A frame that is being answered."""

    digest: bytes
    task: asyncio.Task[wire.Classification]
    callers: int = 0
    started: bool = False


class OffloadService(wire_grpc.OffloadServicer):  # type: ignore[misc]
    """Answers frames, each id once.

    A repeated id joins the frame that is in flight, or gets the remembered answer: no second run of the model. The
    same id with other bytes is refused. Only classifications are remembered. A frame that the model has begun is
    finished and remembered though its caller has left; one that waits is dropped with its last caller.

    Args:
        batcher: decodes and classifies.
        labels: from the model's labels to those of the wire.
        description: what `Describe` says.
        store: the answers given so far.
        door: lets calls in.
        rates: how fast a device may send.
        stats: counts what happens.
        keeper: keeps the frames that the model answered; None: none are.
        stream_window: frames of one stream in flight; beyond it the stream is not read: HTTP/2 holds the sender back.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        batcher: Batcher,
        labels: LabelMap,
        description: wire.Description,
        *,
        store: ReplyCache,
        door: Authenticator,
        rates: RateLimiter,
        stats: Stats,
        keeper: FrameKeeper | None = None,
        stream_window: int = 32,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._batcher, self._labels, self._description = batcher, labels, description
        self._store, self._door, self._rates = store, door, rates
        self._stats, self._keeper, self._stream_window, self._clock = stats, keeper, stream_window, clock
        self._flying: dict[bytes, _InFlight] = {}
        self._ending = asyncio.Event()
        self._calls = 0
        self._no_calls = asyncio.Event()
        self._no_calls.set()

    async def Describe(self, request: wire.DescribeRequest, context: Any) -> wire.Description:
        """What the model is and which labels it answers with."""
        await self._admit(context)
        return self._description

    async def Classify(self, request: wire.ClassifyRequest, context: Any) -> wire.ClassifyReply:
        """One frame, one reply."""
        caller = await self._admit(context)
        with self._call():
            return await self.answer(request, caller)

    async def Stream(self, requests: AsyncIterator[wire.ClassifyRequest], context: Any) -> None:
        """Many frames; replies are written as they are ready. Ends when the device ends it, or after `end_streams`."""
        caller = await self._admit(context)
        refusal: Exception | None = None
        with self._call():
            try:
                with self._door.stream(caller):
                    await self._serve(caller, context)
            except* (TooManyStreams, Unauthenticated) as refused:
                refusal = refused.exceptions[0]
            except* grpc.aio.BaseError as gone:
                _log.debug("a device left its stream: %r", gone.exceptions[0])
        if refusal is not None:
            await end_call(context, refusal, self._stats)

    async def _serve(self, caller: Caller, context: Any) -> None:
        places = asyncio.Semaphore(self._stream_window)
        writing = asyncio.Lock()

        async def reply_to(request: wire.ClassifyRequest) -> None:
            reply = await self.answer(request, caller)
            async with writing:  # gRPC allows one write at a time
                await context.write(reply)
            places.release()

        async def read(group: asyncio.TaskGroup) -> None:
            while True:
                await places.acquire()
                request = await context.read()
                if request is grpc.aio.EOF:
                    return
                self._door.check(caller)
                group.create_task(reply_to(request))

        async with asyncio.TaskGroup() as group:
            reader = group.create_task(read(group))
            ending = group.create_task(self._ending.wait())
            await asyncio.wait((reader, ending), return_when=asyncio.FIRST_COMPLETED)
            reader.cancel()
            ending.cancel()

    async def _admit(self, context: Any) -> Caller:
        """The caller; one that is not let in gets its status, and the call ends here."""
        try:
            return self._door.admit(context)
        except Unauthenticated as error:
            await end_call(context, error, self._stats)
            raise  # not reached: `abort` raises

    async def end_streams(self) -> None:
        """Stop reading the streams, write what is ready, and return when no call is left and all is remembered."""
        self._ending.set()
        await self._no_calls.wait()
        await asyncio.gather(*(flying.task for flying in self._flying.values()), return_exceptions=True)

    async def close(self) -> None:
        """Give up what is still running; what was answered is on the disk afterwards."""
        left = [flying.task for flying in self._flying.values()]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        if self._keeper is not None:
            await asyncio.to_thread(self._keeper.close)
        await self._store.close()

    @contextmanager
    def _call(self) -> Iterator[None]:
        """Counts a call while it lasts, so that a drain knows when the last one has ended."""
        self._calls += 1
        self._no_calls.clear()
        try:
            yield
        finally:
            self._calls -= 1
            if not self._calls:
                self._no_calls.set()

    async def answer(self, request: wire.ClassifyRequest, caller: Caller) -> wire.ClassifyReply:
        """The reply to one request; never raises but for cancellation."""
        try:
            self._rates.spend(caller.name)
            classification = await self._classify(request, caller)
        except Exception as error:
            self._stats.failures += 1
            return wire.ClassifyReply(frame_id=request.frame_id, failure=failure_of(error))
        return wire.ClassifyReply(frame_id=request.frame_id, classification=classification)

    async def _classify(self, request: wire.ClassifyRequest, caller: Caller) -> wire.Classification:
        frame = _check(request)
        key = key_of(caller.name if caller.is_proven else _ANYONE, frame.frame_id)
        if key not in self._flying and (known := await self._store.get(key)) is not None:
            _check_same(frame, known.digest)
            self._stats.repeats += 1
            classification = wire.Classification()
            classification.ParseFromString(known.classification)
            return classification
        flying = self._flying.get(key)
        if flying is None:
            flying = self._start(key, frame, caller)
        else:
            _check_same(frame, flying.digest)
            self._stats.repeats += 1
        flying.callers += 1
        try:
            return await asyncio.shield(flying.task)
        finally:
            flying.callers -= 1
            if not flying.callers and not flying.started:
                flying.task.cancel()  # no one waits for it, and it has cost nothing yet
                self._forget(key, flying)

    def _start(self, key: bytes, frame: _Frame, caller: Caller) -> _InFlight:
        def on_start() -> None:
            flying.started = True

        def on_end(task: asyncio.Task[wire.Classification]) -> None:
            self._forget(key, flying)
            if not task.cancelled():
                task.exception()  # seen by its callers, if there are any left

        flying = _InFlight(frame.digest, asyncio.create_task(self._run(key, frame, caller, on_start)))
        flying.task.add_done_callback(on_end)
        self._flying[key] = flying
        return flying

    def _forget(self, key: bytes, flying: _InFlight) -> None:
        if self._flying.get(key) is flying:
            del self._flying[key]

    async def _run(
        self, key: bytes, frame: _Frame, caller: Caller, on_start: Callable[[], None]
    ) -> wire.Classification:
        began, received_at = self._clock(), datetime.now(UTC)
        said = await self._batcher.submit(frame.image, frame.little, on_start)
        probabilities = self._labels.apply(said.probabilities)
        self._stats.answered(self._clock() - began)
        top = int(np.argmax(probabilities))
        classification = wire.Classification(
            label=self._labels.labels[top],
            confidence=float(probabilities[top]),
            probabilities=probabilities.tolist(),
            macs=said.macs,
        )
        await self._store.put(key, CachedReply(frame.digest, classification.SerializeToString()))
        if self._keeper is not None:
            self._keeper.offer(AnsweredFrame(frame.frame_id, frame.image, caller.device, received_at, probabilities))
        return classification


def _check_same(frame: _Frame, known: bytes) -> None:
    if frame.digest != known:
        raise BadRequest(f"expected one picture for each frame id; {frame.frame_id} came before with other bytes")


def _check(request: wire.ClassifyRequest) -> _Frame:
    if not _FRAME_ID.fullmatch(request.frame_id):
        raise BadRequest(f"expected a frame id of 32 hexadecimal digits; got {request.frame_id[:64]!r}")
    values = None
    if len(request.probabilities):
        values = np.fromiter(request.probabilities, np.float32, len(request.probabilities))
        if not ((values >= 0) & (values <= 1.001)).all():
            raise BadRequest("expected the little model's probabilities, each from 0 to 1; got others")
    digest = hashlib.blake2b(request.image, digest_size=16).digest()
    return _Frame(request.frame_id.lower(), request.image, values, digest)
