"""Frames into batches: decode in a pool, then one thread that owns the model.

An idle model takes what is there at once, so a lone frame never waits for company; while a batch runs, the next one
fills up behind it. What waits is bounded in frames and bytes; further frames are refused. Callers take turns
(`fair_queue`) at the decoders and in the batches, and a full queue still has a place for a caller with less than its
share: the latest frame of the greediest caller gives way.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloud_server.model.decode import Picture
from cloud_server.model.fair_queue import FairQueue
from cloud_server.model.places import Overloaded, Places
from cloud_server.model.watch import ModelWatch
from edge_sdk.errors import EdgeError
from edge_sdk.types import Image, Region

_log = logging.getLogger(__name__)

Probabilities = NDArray[np.float32]
Looks = tuple[Image, ...]
"""What of one frame goes through the model: one or more inputs, `uint8 (h, w, 3)`."""
Prepare = Callable[[Any, Region | None], Looks]  # `Any`: what `submit` takes, which the batcher hands on unread
Little = NDArray[np.float32] | None
"""The little model's probabilities that came with a frame, `float32 (C,)`, or None."""
Run = Callable[[Sequence[Image], Sequence[Little]], tuple[Probabilities, NDArray[np.int64]]]

QUEUE_BYTES = 48 << 20
"""Encoded pictures that wait, of all devices."""
HEAVY_BYTES = 32 << 20
"""Memory for decoding one picture beyond which pictures are decoded one at a time."""
_AHEAD = 2
"""Batches that are decoded ahead of the model; what waits behind them waits encoded, which is smaller."""
_DECODE_COST, _DECODE_QUANTUM = 16 << 10, 64 << 10
"""Of fair queueing at the decoders: what a picture costs beside its bytes, and the credit of one turn."""
_CHECK_RUNS = 3
"""A check waits for the batch that runs and for its own, each as long as the longest run at most."""
_OWN = "\0the server"
"""The caller of checks: no device has this name."""


@dataclass(frozen=True, slots=True, eq=False)
class Answered:
    """The model's output for one frame.

    Attributes:
        probabilities: `float32 (C,)`, the mean over its looks.
        macs: multiply-accumulates spent on all of them.
    """

    probabilities: Probabilities
    macs: int


class Draining(EdgeError):
    """The server is going down and takes no new frames."""


class ModelFailed(EdgeError):
    """The model raised an exception on a frame, or returned NaN or infinity."""


@dataclass(slots=True, eq=False)
class _Ticket:
    """A frame on its way; `looks` are there once it is decoded, `job` no longer once that has begun."""

    job: Callable[[], Looks | None] | None
    size: int
    little: Little
    caller: str
    result: asyncio.Future[Answered]
    on_start: Callable[[], None]
    heavy_job: Callable[[], Looks] | None = None
    looks: Looks | None = None


def model_thread() -> ThreadPoolExecutor:
    """The one thread that loads and runs a model."""
    return ThreadPoolExecutor(1, thread_name_prefix="model")


class Batcher:
    """Runs `prepare` and `run` for many callers on one event loop.

    Args:
        prepare: encoded picture and its region -> the model's inputs, one for each look, `uint8 (h, w, 3)`; runs in a
            pool of `decoders` threads.
        run: N inputs and the little model's probabilities for each -> probabilities `float32 (N, C)` and
            multiply-accumulates `int64 (N,)`; runs in one thread, always the same.
        max_batch: most inputs in one call of `run`, and one more where the last frame of a batch is looked at twice.
        max_queue: frames that may wait, from their arrival until their batch starts.
        max_bytes: of the encoded pictures of these frames.
        max_wait_s: how long a batch that is not full waits for more; 0 never waits.
        decoders: threads that decode.
        weigh: encoded picture -> bytes of memory that `prepare` takes for it; runs in the same pool. Of the pictures
            over `HEAVY_BYTES` one at a time is prepared.
        sample: gives an input of the server's own, by which `check` asks whether the model works.
        on_batch: called with the size of each batch, on the event loop.
        thread: the one thread that runs the model, which ends with the batcher; best the one that loaded it, whose
            threads of OpenMP are then the model's own. None: a new one.

    Attributes:
        watch: tells whether the model still answers.
    """

    def __init__(
        self,
        prepare: Prepare,
        run: Run,
        *,
        max_batch: int,
        max_queue: int,
        max_bytes: int = QUEUE_BYTES,
        max_wait_s: float = 0.0,
        decoders: int = 2,
        weigh: Callable[[Any], int] = lambda data: 0,
        sample: Callable[[], Image] = lambda: np.zeros((1, 1, 3), np.uint8),
        on_batch: Callable[[int], None] = lambda size: None,
        thread: ThreadPoolExecutor | None = None,
    ) -> None:
        self._prepare, self._run, self._weigh, self._sample = prepare, run, weigh, sample
        self._max_batch, self._max_wait_s, self._max_decoders = max_batch, max_wait_s, decoders
        self._on_batch = on_batch
        self.watch = ModelWatch()
        self._decoders = ThreadPoolExecutor(decoders, thread_name_prefix="decode")
        self._model = model_thread() if thread is None else thread
        self._places: Places[_Ticket] = Places(max_queue, max_bytes)
        self._encoded: FairQueue[_Ticket] = FairQueue(_DECODE_QUANTUM)
        self._heavy: FairQueue[_Ticket] = FairQueue(_DECODE_QUANTUM)
        self._ready: FairQueue[_Ticket] = FairQueue()
        self._decoding = self._decoding_heavy = 0
        self._had_heavy = False
        self._arrived = asyncio.Event()
        self._tickets: set[_Ticket] = set()
        self._nothing_pending = asyncio.Event()
        self._nothing_pending.set()
        self._refusal: EdgeError | None = None
        self._open = True
        self._worker: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """Frames that have arrived and are not in a batch yet; may be read from any thread."""
        return len(self._places)

    @property
    def pending(self) -> int:
        """Frames that have arrived and are not answered yet."""
        return len(self._tickets)

    async def start(self, warm_up: Callable[[], int | None] = lambda: None) -> None:
        """Begin to take frames, after `warm_up` has run on the model's thread.

        Args:
            warm_up: may give the number of inputs in one run that suits the model; at most `max_batch` are taken.
        """
        began = time.monotonic()
        found = await asyncio.get_running_loop().run_in_executor(self._model, warm_up)
        self._max_batch = min(self._max_batch, found or self._max_batch)
        self.watch.warmed_up(time.monotonic() - began)
        self._worker = asyncio.create_task(self._work(), name="batcher")

    async def submit(
        self,
        data: Picture,
        little: Little = None,
        on_start: Callable[[], None] = lambda: None,
        caller: str = "",
        region: Region | None = None,
    ) -> Answered:
        """Decode and classify one picture; cancelling the caller frees its place.

        Args:
            data: the encoded picture, or its pixels.
            little: the little model's probabilities, or None.
            on_start: called when its batch goes to the model; cancelling after that saves nothing.
            caller: whose frame it is.
            region: where in the picture something moved, as the device says.

        Raises:
            Overloaded: too many frames wait.
            Draining: `close` was called, or the model does not answer (`refuse`).
            ModelFailed: the model failed on this frame.
            EdgeError: whatever `prepare` raises.
        """
        if self._refusal is not None:
            raise self._refusal
        result: asyncio.Future[Answered] = asyncio.get_running_loop().create_future()
        ticket = _Ticket(partial(self._prepare_light, data, region), len(data), little, caller, result, on_start)
        ticket.heavy_job = partial(self._prepare, data, region)
        del data
        return await self._pass_through(ticket)

    async def check(self) -> None:
        """Ask the model for a picture of the server's own, whether or not frames are refused; tells the watch."""
        result: asyncio.Future[Answered] = asyncio.get_running_loop().create_future()
        self.watch.check_begins()
        try:
            async with asyncio.timeout(_CHECK_RUNS * self.watch.longest_s):
                await self._pass_through(_Ticket(lambda: (self._sample(),), 0, None, _OWN, result, lambda: None))
        except Exception as error:
            if self._open:
                self.watch.check_failed()
                _log.warning("the model failed on a picture of the server's own (%s)", type(error).__name__)

    def refuse(self, reason: EdgeError | None) -> None:
        """Refuse new frames with `reason`; None: take frames again. Checks go on."""
        if self._open:
            self._refusal = reason

    def give_up(self, reason: EdgeError) -> None:
        """Answer all frames that wait or run with `reason`: their model will not."""
        for ticket in tuple(self._tickets):
            self._forget(ticket)
            _give_up(ticket, reason)

    def close(self) -> None:
        """Refuse new frames; those that have arrived are answered."""
        self._open = False
        self._refusal = Draining("the server is going down: send this frame again later, or elsewhere")

    async def drained(self) -> None:
        """Return once every frame that has arrived is answered."""
        await self._nothing_pending.wait()

    async def stop(self) -> None:
        """End the worker; frames that still wait are cancelled. A run of the model that hangs is abandoned."""
        self.close()
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)
        for ticket in tuple(self._tickets):
            ticket.result.cancel()
        self._decoders.shutdown(wait=False, cancel_futures=True)
        self._model.shutdown(wait=False, cancel_futures=True)

    async def _pass_through(self, ticket: _Ticket) -> Answered:
        """Take a place, be decoded and run, and leave, however it ends."""
        for other in self._places.take(ticket, ticket.caller, ticket.size) if ticket.caller != _OWN else ():
            self._forget(other)
            _give_up(
                other, Overloaded("the queue is full, and this device has most of it: send this frame again later")
            )
        self._tickets.add(ticket)
        self._nothing_pending.clear()
        self._encoded.add(ticket.caller, ticket, ticket.size + _DECODE_COST)
        self._decode_next()
        try:
            return await ticket.result
        finally:
            self._forget(ticket)
            self._tickets.discard(ticket)
            if not self._tickets:
                self._nothing_pending.set()

    def _forget(self, ticket: _Ticket) -> None:
        """Take a frame out of whichever queue it stands in, and free its place."""
        self._places.leave(ticket)
        for queue in (self._encoded, self._heavy, self._ready):
            queue.remove(ticket.caller, ticket)
        ticket.job = ticket.heavy_job = ticket.looks = None

    def _prepare_light(self, data: Picture, region: Region | None) -> Looks | None:
        """The picture as the model's inputs; None where it takes too much memory for two at a time."""
        return None if self._weigh(data) > HEAVY_BYTES else self._prepare(data, region)

    def _decode_next(self) -> None:
        """Begin to decode as long as there are threads, and not too much is decoded ahead of the model."""
        while self._decoding < self._max_decoders and self._decoding + len(self._ready) < _AHEAD * self._max_batch:
            first, second = (self._encoded, self._heavy) if self._had_heavy else (self._heavy, self._encoded)
            ticket = None
            for queue in (first, second):  # in turn: neither kind of picture waits for the other's end
                if ticket is None and not (queue is self._heavy and self._decoding_heavy):
                    ticket, is_heavy = queue.take(), queue is self._heavy
            if ticket is None:
                return
            self._had_heavy = is_heavy
            job = ticket.heavy_job if is_heavy else ticket.job
            assert job is not None
            if is_heavy:
                ticket.heavy_job = None
            ticket.job = None
            self._decoding += 1
            self._decoding_heavy += is_heavy
            decoded = asyncio.get_running_loop().run_in_executor(self._decoders, job)
            decoded.add_done_callback(partial(self._on_decoded, ticket, is_heavy))

    def _on_decoded(self, ticket: _Ticket, was_heavy: bool, decoded: asyncio.Future[Looks | None]) -> None:
        self._decoding -= 1
        self._decoding_heavy -= was_heavy
        error = None if decoded.cancelled() else decoded.exception()
        if decoded.cancelled() or ticket.result.done():
            pass  # the server ends, or its caller has gone
        elif error is not None:
            ticket.result.set_exception(error)
        elif (looks := decoded.result()) is None:
            self._heavy.add(ticket.caller, ticket, _DECODE_QUANTUM)
        else:
            ticket.looks, ticket.heavy_job = looks, None
            self._ready.add(ticket.caller, ticket, len(looks))
            self._arrived.set()
        if not decoded.cancelled():
            self._decode_next()

    def _take(self) -> list[_Ticket]:
        """The next batch: callers in turn, the frames of each in order of arrival."""
        batch: list[_Ticket] = []
        inputs = 0
        while inputs < self._max_batch and (ticket := self._ready.take()) is not None:
            batch.append(ticket)
            inputs += len(ticket.looks or ())
        return batch

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._arrived.wait()
            if self._max_wait_s and len(self._ready) < self._max_batch:
                await self._fill()
            batch = self._take()
            if not self._ready:
                self._arrived.clear()
            if not batch:
                continue
            self._on_batch(len(batch))
            frames = []
            for ticket in batch:
                assert ticket.looks is not None
                frames.append((ticket.looks, ticket.little))
                self._places.leave(ticket)
                ticket.looks = None
                ticket.on_start()
            self._decode_next()
            self.watch.begin()
            results = await loop.run_in_executor(self._model, self._run_safely, frames)
            failed = sum(isinstance(result, ModelFailed) for result in results)
            self.watch.end(answered=len(results) - failed, failed=failed)
            for ticket, result in zip(batch, results, strict=True):
                if isinstance(result, ModelFailed):
                    _give_up(ticket, result)
                elif not ticket.result.done():  # its caller has not gone
                    ticket.result.set_result(result)
            del batch, frames, results, ticket, result  # an idle worker holds no pictures

    async def _fill(self) -> None:
        """Wait until the batch is full or the window has passed."""
        try:
            async with asyncio.timeout(self._max_wait_s):
                while len(self._ready) < self._max_batch:
                    self._arrived.clear()
                    await self._arrived.wait()
        except TimeoutError:
            self._arrived.set()

    def _run_safely(self, frames: list[tuple[Looks, Little]]) -> Sequence[Answered | ModelFailed]:
        """One result for each frame. When a batch fails, its frames are tried one by one, a bad one fails alone."""
        inputs = [image for looks, _ in frames for image in looks]
        try:
            rows, macs = self._run(inputs, [little for looks, little in frames for _ in looks])
            if len(rows) != len(inputs) or len(macs) != len(inputs):
                raise ValueError(f"expected {len(inputs)} rows from the model; got {len(rows)}")
        except Exception as error:
            why = type(error).__name__
            if len(frames) > 1:
                _log.warning(
                    "a batch of %d failed (%s: %.300r); its frames are tried one by one", len(frames), why, error
                )
                return [result for frame in frames for result in self._run_safely([frame])]
            # A model that has died fails thousands of frames: the first of them is told in full.
            _log.log(
                logging.DEBUG if self.watch.is_suspect else logging.ERROR, "the model failed on a frame", exc_info=True
            )
            return [ModelFailed(f"the model failed on this frame ({why})")]
        ends = np.cumsum([len(looks) for looks, _ in frames])
        parts = zip(np.split(rows, ends[:-1]), np.split(macs, ends[:-1]), strict=True)
        return [
            Answered(one.mean(axis=0, dtype=np.float32), int(spent.sum()))
            if np.isfinite(one).all()
            else ModelFailed("the model's output for this frame is not finite")
            for one, spent in parts
        ]


def _give_up(ticket: _Ticket, error: EdgeError) -> None:
    if not ticket.result.done():
        ticket.result.set_exception(error)
