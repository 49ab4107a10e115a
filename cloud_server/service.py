"""The three calls of the wire: Describe, Classify and Stream.

Every frame is answered in-band, in a unary call as in a stream: a `Failure` with a code of `FAILURE_CODES` and a
message, never a gRPC status, so that a device handles both alike and one bad frame never ends a stream.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import numpy as np

from cloud_server.batcher import Batcher, Draining, Little, ModelFailed, Overloaded
from cloud_server.decode import TooLarge
from cloud_server.labels import LabelMap
from cloud_server.stats import Stats
from edge_sdk.errors import EdgeError, ImageError
from edge_sdk.wire import offload_pb2 as wire
from edge_sdk.wire import offload_pb2_grpc as wire_grpc

_log = logging.getLogger(__name__)
_FRAME_ID = re.compile(r"[0-9a-fA-F]{32}")


class BadRequest(EdgeError):
    """A request is malformed: its frame id or its probabilities."""


FAILURE_CODES: tuple[tuple[type[Exception], wire.Failure.Code], ...] = (
    (TooLarge, wire.Failure.TOO_LARGE),
    (ImageError, wire.Failure.BAD_IMAGE),
    (BadRequest, wire.Failure.BAD_REQUEST),
    (Overloaded, wire.Failure.OVERLOADED),
    (Draining, wire.Failure.DRAINING),
    (ModelFailed, wire.Failure.INTERNAL),
)
"""Which code answers which error; the first that fits counts, and any other error is INTERNAL."""


@dataclass(slots=True, eq=False)
class _Known:
    """A frame that is being answered, or was."""

    digest: bytes
    task: asyncio.Task[wire.Classification]
    callers: int = 0


class OffloadService(wire_grpc.OffloadServicer):  # type: ignore[misc]
    """Answers frames, each id once.

    A repeated id joins the frame that is in flight, or gets the remembered answer: no second run of the model. The
    same id with other bytes is refused. Only classifications are remembered, `remember` of them.

    Args:
        batcher: decodes and classifies.
        labels: from the model's labels to those of the wire.
        description: what `Describe` says.
        stats: counts what happens.
        stream_window: frames of one stream in flight; beyond it the stream is not read: HTTP/2 holds the sender back.
        remember: answered frames that are known by their id.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        batcher: Batcher,
        labels: LabelMap,
        description: wire.Description,
        *,
        stats: Stats,
        stream_window: int = 32,
        remember: int = 16_384,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._batcher, self._labels, self._description = batcher, labels, description
        self._stats, self._stream_window, self._remember, self._clock = stats, stream_window, remember, clock
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._ending = asyncio.Event()
        self._calls = 0
        self._no_calls = asyncio.Event()
        self._no_calls.set()

    async def Describe(self, request: wire.DescribeRequest, context: Any) -> wire.Description:
        """What the model is and which labels it answers with."""
        return self._description

    async def Classify(self, request: wire.ClassifyRequest, context: Any) -> wire.ClassifyReply:
        """One frame, one reply."""
        with self._call():
            return await self.answer(request)

    async def Stream(self, requests: AsyncIterator[wire.ClassifyRequest], context: Any) -> None:
        """Many frames; replies are written as they are ready. Ends when the device ends it, or after `end_streams`."""
        places = asyncio.Semaphore(self._stream_window)
        writing = asyncio.Lock()

        async def reply_to(request: wire.ClassifyRequest) -> None:
            reply = await self.answer(request)
            async with writing:  # gRPC allows one write at a time
                await context.write(reply)
            places.release()

        async def read(group: asyncio.TaskGroup) -> None:
            while True:
                await places.acquire()
                request = await context.read()
                if request is grpc.aio.EOF:
                    return
                group.create_task(reply_to(request))

        async def serve() -> None:
            async with asyncio.TaskGroup() as group:
                reader = group.create_task(read(group))
                ending = group.create_task(self._ending.wait())
                await asyncio.wait((reader, ending), return_when=asyncio.FIRST_COMPLETED)
                reader.cancel()
                ending.cancel()

        with self._call():
            try:
                await serve()
            except* grpc.aio.BaseError as gone:
                _log.debug("a device left its stream: %r", gone.exceptions[0])

    async def end_streams(self) -> None:
        """Stop reading the streams, write what is ready, and return when no call is left."""
        self._ending.set()
        await self._no_calls.wait()

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

    async def answer(self, request: wire.ClassifyRequest) -> wire.ClassifyReply:
        """The reply to one request; never raises but for cancellation."""
        try:
            classification = await self._classify(request)
        except Exception as error:
            self._stats.failures += 1
            return wire.ClassifyReply(frame_id=request.frame_id, failure=_failure(error))
        return wire.ClassifyReply(frame_id=request.frame_id, classification=classification)

    async def _classify(self, request: wire.ClassifyRequest) -> wire.Classification:
        frame_id, image, little = _check(request)
        digest = hashlib.blake2b(image, digest_size=16).digest()
        known = self._known.get(frame_id)
        if known is None:
            known = _Known(digest, asyncio.create_task(self._run(image, little)))
            self._known[frame_id] = known
        elif known.digest != digest:
            raise BadRequest(f"expected one picture for each frame id; {frame_id} came before with other bytes")
        else:
            self._stats.repeats += 1
            self._known.move_to_end(frame_id)
        known.callers += 1
        try:
            return await asyncio.shield(known.task)
        finally:
            known.callers -= 1
            if not known.callers:
                self._settle(frame_id, known)

    async def _run(self, image: bytes, little: Little) -> wire.Classification:
        began = self._clock()
        said = await self._batcher.submit(image, little)
        probabilities = self._labels.apply(said.probabilities)
        self._stats.answered(self._clock() - began)
        top = int(np.argmax(probabilities))
        return wire.Classification(
            label=self._labels.labels[top],
            confidence=float(probabilities[top]),
            probabilities=probabilities.tolist(),
            macs=said.macs,
        )

    def _settle(self, frame_id: str, known: _Known) -> None:
        """After its last caller: keep an answer, forget a failure, and stop what no one waits for."""
        answered = known.task.done() and not known.task.cancelled() and known.task.exception() is None
        if not answered:
            known.task.cancel()
            if self._known.get(frame_id) is known:
                del self._known[frame_id]
        while len(self._known) > self._remember:
            oldest, entry = next(iter(self._known.items()))
            if entry.callers:
                self._known.move_to_end(oldest)
                break
            del self._known[oldest]


def _check(request: wire.ClassifyRequest) -> tuple[str, bytes, Little]:
    if not _FRAME_ID.fullmatch(request.frame_id):
        raise BadRequest(f"expected a frame id of 32 hexadecimal digits; got {request.frame_id[:64]!r}")
    values = None
    if len(request.probabilities):
        values = np.fromiter(request.probabilities, np.float32, len(request.probabilities))
        if not ((values >= 0) & (values <= 1.001)).all():
            raise BadRequest("expected the little model's probabilities, each from 0 to 1; got others")
    return request.frame_id.lower(), request.image, values


def _failure(error: Exception) -> wire.Failure:
    for kind, code in FAILURE_CODES:
        if isinstance(error, kind):
            return wire.Failure(code=code, message=str(error))
    _log.error("a frame could not be answered", exc_info=error)
    return wire.Failure(code=wire.Failure.INTERNAL, message=f"the server failed on this frame ({type(error).__name__})")
