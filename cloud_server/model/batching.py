"""Frames into batches: decode in a pool, then one thread that owns the model.

While a batch runs, the next one fills up behind it (`ready_frames`). What waits is bounded in frames, bytes and time
(`queue_time`); further frames are refused. Callers take turns (`fair_queue`) at the decoders and in the batches, and a
full queue still has a place for a caller with less than its share: the latest frame of the greediest caller gives way.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np

from cloud_server.model.careful_run import run_carefully
from cloud_server.model.decode import Picture
from cloud_server.model.decoders import Decoders
from cloud_server.model.pace import Pace
from cloud_server.model.places import Overloaded, Places
from cloud_server.model.queue_time import TooLate, refusal
from cloud_server.model.ready_frames import ReadyFrames
from cloud_server.model.ticket import (
    Answered,
    Draining,
    Little,
    Looks,
    ModelFailed,
    Prepare,
    Probabilities,
    Run,
    Ticket,
    timed,
)
from cloud_server.model.watch import ModelWatch
from edge_sdk.errors import EdgeError
from edge_sdk.types import Image, Region

__all__ = [
    "HEAVY_BYTES",
    "Answered",
    "Batcher",
    "Draining",
    "Little",
    "Looks",
    "ModelFailed",
    "Probabilities",
    "model_thread",
]

_log = logging.getLogger(__name__)

QUEUE_BYTES = 48 << 20
"""Encoded pictures that wait, of all devices."""
HEAVY_BYTES = 32 << 20
"""Memory for decoding one picture beyond which pictures are decoded one at a time."""
_CHECK_RUNS = 3
"""A check waits for the batch that runs and for its own, each as long as the longest run at most."""
Warmed = tuple[int, Mapping[int, float]]
"""Inputs in one run, and seconds of runs by their inputs."""
_OWN = "\0the server"
"""The caller of checks: no device has this name."""


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
        max_wait_s: how long a batch that is not full waits for more; 0: only for frames that are about to be ready, and
            only where all are answered sooner by it.
        max_queue_s: frames that would be answered later than that are refused.
        decoders: threads that decode.
        weigh: encoded picture -> bytes of memory that `prepare` takes for it; runs in the same pool. Of the pictures
            over `HEAVY_BYTES` one at a time is prepared.
        sample: gives an input of the server's own, by which `check` asks whether the model works.
        on_batch: called with the frames of each batch, on the event loop; not for checks of the server's own.
        clock: seconds, monotonic.
        thread: the one thread that runs the model, which ends with the batcher; best the one that loaded it, whose
            threads of OpenMP are then the model's own. None: a new one.

    Attributes:
        watch: tells whether the model still answers.
        pace: what is known of its runs and callers.
        decoders: the pool that decodes.
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
        max_queue_s: float = math.inf,
        decoders: int = 2,
        weigh: Callable[[Any], int] = lambda data: 0,
        sample: Callable[[], Image] = lambda: np.zeros((1, 1, 3), np.uint8),
        on_batch: Callable[[int], None] = lambda size: None,
        thread: ThreadPoolExecutor | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._prepare, self._run, self._weigh, self._sample = prepare, run, weigh, sample
        self._max_queue_s = max_queue_s
        self._on_batch, self._clock = on_batch, clock
        self.watch = ModelWatch()
        self.pace = Pace()
        self._model = model_thread() if thread is None else thread
        self._places: Places[Ticket] = Places(max_queue, max_bytes)
        self._ready = ReadyFrames(max_batch, max_wait_s, self.pace, lambda: self.decoders, clock, self._is_late)
        self.decoders = Decoders(decoders, self._ready.has_room, self._ready.add, clock, self._is_late)
        self._tickets: set[Ticket] = set()
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

    async def start(self, warm_up: Callable[[], Warmed | None] = lambda: None) -> None:
        """Begin to take frames, after `warm_up` has run on the model's thread.

        Args:
            warm_up: may give the number of inputs in one run that suits the model, of which at most `max_batch` are
                taken, and how long runs took: else nothing is known of how long frames will wait.
        """
        began = time.monotonic()
        found = await asyncio.get_running_loop().run_in_executor(self._model, warm_up)
        if found is not None:
            batch, runs_s = found
            self._ready.max_batch = min(self._ready.max_batch, batch)
            for size, run_s in runs_s.items():
                self.pace.times.add(size, run_s)
        self.watch.warmed_up(time.monotonic() - began)
        self._worker = asyncio.create_task(self._work(), name="batcher")

    async def submit(
        self,
        data: Picture,
        little: Little = None,
        on_start: Callable[[], None] = lambda: None,
        caller: str = "",
        region: Region | None = None,
        wait_s: float = math.inf,
        on_decoded: Callable[[float, float], None] | None = None,
    ) -> Answered:
        """Decode and classify one picture; cancelling the caller frees its place.

        Args:
            data: the encoded picture, or its pixels.
            little: the little model's probabilities, or None.
            on_start: called when its batch goes to the model; cancelling after that saves nothing.
            caller: whose frame it is.
            region: where in the picture something moved, as the device says.
            wait_s: how long its answer is worth waiting for.
            on_decoded: called in the decoder's thread with when decoding began and ended, seconds since 1970.

        Raises:
            Overloaded: too many frames wait.
            TooLate: its answer would come too late, or it has waited too long.
            Draining: `close` was called, or the model does not answer (`refuse`).
            ModelFailed: the model failed on this frame.
            EdgeError: whatever `prepare` raises.
        """
        if self._refusal is not None:
            raise self._refusal
        now = self._clock()
        self.pace.arrived(now)
        expected_s = self.pace.answer_s(self._places.frames_ahead(caller), self._ready.max_batch, now)
        if too_late := refusal(expected_s, wait_s, self._max_queue_s):
            raise TooLate(too_late)
        result: asyncio.Future[Answered] = asyncio.get_running_loop().create_future()
        light, heavy = partial(self._prepare_light, data, region), partial(self._prepare, data, region)
        if on_decoded is not None:
            light, heavy = partial(timed, light, on_decoded), partial(timed, heavy, on_decoded)
        ticket = Ticket(light, len(data), little, caller, result, on_start)
        ticket.deadline_s = now + wait_s
        ticket.heavy_job = heavy
        del data, light, heavy
        return await self._pass_through(ticket)

    async def check(self) -> None:
        """Ask the model for a picture of the server's own, whether or not frames are refused; tells the watch."""
        result: asyncio.Future[Answered] = asyncio.get_running_loop().create_future()
        self.watch.check_begins()
        try:
            async with asyncio.timeout(_CHECK_RUNS * self.watch.longest_s):
                await self._pass_through(Ticket(lambda: (self._sample(),), 0, None, _OWN, result, lambda: None))
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
            ticket.fail(reason)

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
        self.decoders.shutdown()
        self._model.shutdown(wait=False, cancel_futures=True)

    async def _pass_through(self, ticket: Ticket) -> Answered:
        """Take a place, be decoded and run, and leave, however it ends."""
        for other in self._places.take(ticket, ticket.caller, ticket.size) if ticket.caller != _OWN else ():
            self._forget(other)
            other.fail(Overloaded("the queue is full, and this device has most of it: send this frame again later"))
        self._tickets.add(ticket)
        self._nothing_pending.clear()
        self.decoders.add(ticket)
        try:
            return await ticket.result
        finally:
            self._forget(ticket)
            self._tickets.discard(ticket)
            if not self._tickets:
                self._nothing_pending.set()

    def _forget(self, ticket: Ticket) -> None:
        """Take a frame out of whichever queue it stands in, and free its place."""
        self._places.leave(ticket)
        self.decoders.remove(ticket)
        self._ready.remove(ticket)
        ticket.drop()

    def _prepare_light(self, data: Picture, region: Region | None) -> Looks | None:
        """The picture as the model's inputs; None where it takes too much memory for two at a time."""
        return None if self._weigh(data) > HEAVY_BYTES else self._prepare(data, region)

    def _is_late(self, ticket: Ticket) -> bool:
        """Whether an answer is worth nothing any more; such a frame is told so, and costs no more work."""
        if ticket.deadline_s > self._clock():
            return False
        self._forget(ticket)
        ticket.fail(TooLate("it has waited for longer than its device waits: send it again later"))
        return True

    async def _work(self) -> None:
        while True:
            if batch := await self._ready.batch():
                await self._answer(batch)
            del batch  # an idle worker holds no pictures

    async def _answer(self, batch: list[Ticket]) -> None:
        """Run the model on a batch and answer its frames."""
        if of_callers := sum(ticket.caller != _OWN for ticket in batch):
            self._on_batch(of_callers)
        frames = []
        for ticket in batch:
            assert ticket.looks is not None
            frames.append((ticket.looks, ticket.little))
            self._places.leave(ticket)
            ticket.looks = None
            ticket.on_start()
        self.decoders.go_on()
        self.watch.begin()
        self.pace.begin(len(batch), self._clock())
        job = partial(run_carefully, self._run, frames, is_suspect=self.watch.is_suspect)
        results = await asyncio.get_running_loop().run_in_executor(self._model, job)
        failed = sum(isinstance(result, ModelFailed) for result in results)
        self.pace.end(self._clock(), failed=failed > 0)
        self.watch.end(answered=len(results) - failed, failed=failed)
        for ticket, result in zip(batch, results, strict=True):
            if isinstance(result, ModelFailed):
                ticket.fail(result)
            elif not ticket.result.done():  # its caller has not gone
                ticket.result.set_result(result)
