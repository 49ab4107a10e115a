"""Frames that are being answered: a repeat joins the run that is under way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from edge_sdk.errors import EdgeError
from edge_sdk.wire import offload_pb2 as wire

Work = Callable[[Callable[[], None]], Coroutine[Any, Any, wire.Classification]]
"""Answers a frame; calls its argument once the model has begun on it."""


@dataclass(slots=True, eq=False)
class Run:
    """A frame that is being answered.

    Attributes:
        digest: of its picture.
        task: ends with its classification.
        begun: set once the model has begun on it.
        callers: calls that wait for it.
    """

    digest: bytes
    task: asyncio.Task[wire.Classification]
    begun: asyncio.Event
    callers: int = 0

    @property
    def started(self) -> bool:
        """Whether the model has begun on it."""
        return self.begun.is_set()


class InFlight:
    """The runs under way, by frame; used on one event loop.

    A frame that the model has begun is finished, and its answer cached, though its callers have left. One that still
    waits for the model is cancelled with its last caller.
    """

    def __init__(self) -> None:
        self._runs: dict[bytes, Run] = {}

    def __contains__(self, key: bytes) -> bool:
        return key in self._runs

    @property
    def runs(self) -> tuple[Run, ...]:
        """All of them."""
        return tuple(self._runs.values())

    def get(self, key: bytes) -> Run | None:
        """The run of a frame, or None."""
        return self._runs.get(key)

    def start(self, key: bytes, digest: bytes, work: Work) -> Run:
        """Begin to answer a frame."""

        def on_end(task: asyncio.Task[wire.Classification]) -> None:
            self._forget(key, run)
            error = None if task.cancelled() else task.exception()  # seen by its callers, if any are left
            if isinstance(error, EdgeError):  # expected: its traceback would hold the picture until the next collection
                error.__traceback__ = None

        begun = asyncio.Event()  # what works on the frame knows this alone: no cycle keeps a picture that has failed
        run = Run(digest, asyncio.create_task(work(begun.set)), begun)
        run.task.add_done_callback(on_end)
        self._runs[key] = run
        return run

    async def join(self, key: bytes, run: Run) -> wire.Classification:
        """Wait for a run; raises what it raises."""
        run.callers += 1
        try:
            return await asyncio.shield(run.task)
        finally:
            run.callers -= 1
            if not run.callers and not run.started:
                run.task.cancel()  # no one waits for it, and it has cost nothing yet
                self._forget(key, run)
            del run  # an error's traceback has this frame, and the run has the error

    async def finished(self) -> None:
        """Return when the runs of now have ended."""
        await asyncio.gather(*(run.task for run in self.runs), return_exceptions=True)

    async def cancel(self) -> None:
        """End all runs."""
        runs = self.runs
        for run in runs:
            run.task.cancel()
        await asyncio.gather(*(run.task for run in runs), return_exceptions=True)

    def _forget(self, key: bytes, run: Run) -> None:
        if self._runs.get(key) is run:
            del self._runs[key]
