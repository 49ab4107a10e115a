"""Frames into batches: decode in a pool, then one thread that owns the model.

An idle model takes what is there at once, so a lone frame never waits for company; while a batch runs, the next one
fills up behind it. The number of frames that wait is bounded; further ones are refused. Callers take turns, and a full
queue still has a place for a caller with less than its share: a greedy device does not shut the others out.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cloud_server.model.watch import ModelWatch
from edge_sdk.errors import EdgeError
from edge_sdk.types import Image

_log = logging.getLogger(__name__)

Probabilities = NDArray[np.float32]
Prepare = Callable[[bytes], Image]
Little = NDArray[np.float32] | None
"""The little model's probabilities that came with a frame, `float32 (C,)`, or None."""
Run = Callable[[Sequence[Image], Sequence[Little]], tuple[Probabilities, NDArray[np.int64]]]


@dataclass(frozen=True, slots=True, eq=False)
class Answered:
    """The model's output for one frame.

    Attributes:
        probabilities: `float32 (C,)`.
        macs: multiply-accumulates spent on it.
    """

    probabilities: Probabilities
    macs: int


class Overloaded(EdgeError):
    """The queue is full."""


class Draining(EdgeError):
    """The server is going down and takes no new frames."""


class ModelFailed(EdgeError):
    """The model raised an exception on a frame, or returned NaN or infinity."""


@dataclass(slots=True, eq=False)
class _Waiting:
    image: Image
    little: Little
    caller: str
    result: asyncio.Future[Answered]
    on_start: Callable[[], None]


class Batcher:
    """Runs `prepare` and `run` for many callers on one event loop.

    Args:
        prepare: encoded picture -> the model's input, `uint8 (h, w, 3)`; runs in a pool of `decoders` threads.
        run: N inputs and the little model's probabilities for each -> probabilities `float32 (N, C)` and
            multiply-accumulates `int64 (N,)`; runs in one thread, always the same.
        max_batch: frames in one call of `run`.
        max_queue: frames that may wait, from their arrival until their batch starts; up to twice as many where callers
            come that have less than their share of it.
        max_wait_s: how long a batch that is not full waits for more; 0 never waits.
        decoders: threads that decode.
        on_batch: called with the size of each batch, on the event loop.

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
        max_wait_s: float = 0.0,
        decoders: int = 2,
        on_batch: Callable[[int], None] = lambda size: None,
    ) -> None:
        self._prepare, self._run = prepare, run
        self._max_batch, self._max_queue, self._max_wait_s = max_batch, max_queue, max_wait_s
        self._on_batch = on_batch
        self.watch = ModelWatch()
        self._decoders = ThreadPoolExecutor(decoders, thread_name_prefix="decode")
        self._model = ThreadPoolExecutor(1, thread_name_prefix="model")
        self._ready: deque[_Waiting] = deque()
        self._arrived = asyncio.Event()
        self._waiting: Counter[str] = Counter()  # by caller
        self._pending = 0
        self._nothing_pending = asyncio.Event()
        self._nothing_pending.set()
        self._open = True
        self._worker: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """Frames that have arrived and are not in a batch yet."""
        return sum(tuple(self._waiting.values()))  # a copy: metrics read it from another thread

    @property
    def pending(self) -> int:
        """Frames that have arrived and are not answered yet."""
        return self._pending

    async def start(self, warm_up: Callable[[], None] = lambda: None) -> None:
        """Begin to take frames, after `warm_up` has run on the model's thread."""
        began = time.monotonic()
        await asyncio.get_running_loop().run_in_executor(self._model, warm_up)
        self.watch.warmed_up(time.monotonic() - began)
        self._worker = asyncio.create_task(self._work(), name="batcher")

    async def submit(
        self, data: bytes, little: Little = None, on_start: Callable[[], None] = lambda: None, caller: str = ""
    ) -> Answered:
        """Decode and classify one picture; cancelling the caller frees its place.

        Args:
            data: the encoded picture.
            little: the little model's probabilities, or None.
            on_start: called when its batch goes to the model; cancelling after that saves nothing.
            caller: whose frame it is.

        Raises:
            Overloaded: too many frames wait.
            Draining: `close` was called.
            ModelFailed: the model failed on this frame.
            EdgeError: whatever `prepare` raises.
        """
        if not self._open:
            raise Draining("the server is going down: send this frame again later, or elsewhere")
        if not self._has_place(caller):
            raise Overloaded(f"the queue is full, {self.waiting} frames wait: send this frame again later")
        loop = asyncio.get_running_loop()
        self._waiting[caller] += 1
        self._pending += 1
        self._nothing_pending.clear()
        item: _Waiting | None = None
        try:
            image = await loop.run_in_executor(self._decoders, self._prepare, data)
            item = _Waiting(image, little, caller, loop.create_future(), on_start)
            self._ready.append(item)
            self._arrived.set()
            return await item.result
        finally:
            if item is None:
                self._leave(caller)
            elif item in self._ready:
                self._ready.remove(item)
                self._leave(caller)
            self._pending -= 1
            if not self._pending:
                self._nothing_pending.set()

    def close(self) -> None:
        """Refuse new frames; those that have arrived are answered."""
        self._open = False

    async def drained(self) -> None:
        """Return once every frame that has arrived is answered."""
        await self._nothing_pending.wait()

    async def stop(self) -> None:
        """End the worker; frames that still wait are cancelled. A run of the model that hangs is abandoned."""
        self.close()
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)
        for item in self._ready:
            item.result.cancel()
        self._decoders.shutdown(wait=False, cancel_futures=True)
        self._model.shutdown(wait=False, cancel_futures=True)

    def _has_place(self, caller: str) -> bool:
        waiting = self.waiting
        if waiting < self._max_queue:
            return True
        share = max(1, self._max_queue // len(self._waiting.keys() | {caller}))
        return waiting < 2 * self._max_queue and self._waiting[caller] < share

    def _leave(self, caller: str) -> None:
        self._waiting[caller] -= 1
        if not self._waiting[caller]:
            del self._waiting[caller]

    def _take(self) -> list[_Waiting]:
        """The next batch: callers in turn, the frames of each in order of arrival."""
        before: Counter[str] = Counter()
        turns = []
        for item in self._ready:
            turns.append(before[item.caller])
            before[item.caller] += 1
        order = sorted(range(len(turns)), key=turns.__getitem__)[: self._max_batch]
        batch = [self._ready[index] for index in order]
        taken = set(order)
        self._ready = deque(item for index, item in enumerate(self._ready) if index not in taken)
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
            for item in batch:
                self._leave(item.caller)
                item.on_start()
            self.watch.begin()
            results = await loop.run_in_executor(self._model, self._run_safely, batch)
            failed = sum(isinstance(result, ModelFailed) for result in results)
            self.watch.end(answered=len(results) - failed, failed=failed)
            for item, result in zip(batch, results, strict=True):
                if item.result.done():  # its caller has gone
                    continue
                if isinstance(result, ModelFailed):
                    item.result.set_exception(result)
                else:
                    item.result.set_result(result)

    async def _fill(self) -> None:
        """Wait until the batch is full or the window has passed."""
        try:
            async with asyncio.timeout(self._max_wait_s):
                while len(self._ready) < self._max_batch:
                    self._arrived.clear()
                    await self._arrived.wait()
        except TimeoutError:
            self._arrived.set()

    def _run_safely(self, batch: list[_Waiting]) -> Sequence[Answered | ModelFailed]:
        """One result for each image. When a batch fails, its frames are tried one by one, a bad one fails alone."""
        try:
            rows, macs = self._run([item.image for item in batch], [item.little for item in batch])
            if len(rows) != len(batch) or len(macs) != len(batch):
                raise ValueError(f"expected {len(batch)} rows from the model; got {len(rows)}")
        except Exception as error:
            if len(batch) == 1:
                _log.exception("the model failed on a frame")
                return [ModelFailed(f"the model failed on this frame ({type(error).__name__})")]
            _log.warning(
                "a batch of %d failed (%s: %s); its frames are tried one by one",
                len(batch),
                type(error).__name__,
                error,
            )
            return [result for item in batch for result in self._run_safely([item])]
        return [
            Answered(row, int(spent))
            if np.isfinite(row).all()
            else ModelFailed("the model's output for this frame is not finite")
            for row, spent in zip(rows, macs, strict=True)
        ]
