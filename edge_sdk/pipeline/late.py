"""Late answers on their way to the application: a queue, a callback, and whoever waits for one frame.

Each late answer reaches the application once: whoever waits for that frame gets it, and nobody else does; otherwise it
goes to `on_answer`, and into the queue that `late_answers` empties.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import suppress
from types import TracebackType
from typing import Self

from edge_sdk.pipeline.news import News
from edge_sdk.types import Answer

_log = logging.getLogger(__name__)


class LateAnswers(News[Answer]):
    """The queue of late answers. Threads and asyncio tasks may share it.

    Args:
        on_answer: called with each late answer that nobody waits for.
    """

    def __init__(self, on_answer: Callable[[Answer], None] | None = None) -> None:
        super().__init__()
        self._on_answer = on_answer
        self._awaited: dict[str, Future[Answer]] = {}

    def put(self, answer: Answer) -> bool:
        """Hand over an answer. True: nobody waits for it, so `tell` must be called with it, holding no lock."""
        with self._news:
            future = self._awaited.pop(answer.frame_id, None)
            if future is None:
                self._queue.append(answer)
            else:
                future.set_result(answer)
            self._wake()
        return future is None

    def tell(self, *answers: Answer) -> None:
        """Call `on_answer`. It may wait for another thread that is in here, so the caller holds no lock."""
        for answer in answers:
            try:
                if self._on_answer:
                    self._on_answer(answer)
            except Exception:
                _log.exception("on_answer failed on %s; the answer is in the journal", answer.frame_id)

    def wait_for(self, frame_id: str) -> Waiter:
        """Wait for the late answer on one frame: call this before the frame can be answered."""
        future: Future[Answer] = Future()
        with self._news:
            if not self._closed:
                self._awaited[frame_id] = future
            else:
                future.cancel()
        return Waiter(self, frame_id, future)

    def close(self) -> None:
        """Nobody waits any longer."""
        with self._news:
            for future in self._awaited.values():
                future.cancel()
            self._awaited.clear()
            super().close()

    def forget(self, frame_id: str, future: Future[Answer], *, taken: bool) -> None:
        """Nobody waits for this frame any longer; an answer that came and was not taken goes the usual way."""
        with self._news:
            self._awaited.pop(frame_id, None)
        if not taken and future.done() and not future.cancelled():
            answer = future.result()
            if self.put(answer):
                self.tell(answer)


class Waiter:
    """Waits for the late answer on one frame. A context manager; after the block the answer goes the usual way.

    Args:
        late: where the answer comes from.
        frame_id: the frame.
        future: gets the answer.
    """

    def __init__(self, late: LateAnswers, frame_id: str, future: Future[Answer]) -> None:
        self._late, self._frame_id, self._future = late, frame_id, future
        self._taken = False

    def result(self, wait_s: float) -> Answer | None:
        """The late answer, or None where it does not come in time."""
        with suppress(FutureTimeout, CancelledError):
            return self._take(self._future.result(wait_s))
        return None

    async def result_async(self, wait_s: float) -> Answer | None:
        """As `result`, for asyncio."""
        import asyncio

        wrapped = asyncio.wrap_future(self._future)
        await asyncio.wait([wrapped], timeout=wait_s)
        if not self._future.done() or self._future.cancelled():
            return None
        return self._take(self._future.result())

    def _take(self, answer: Answer) -> Answer:
        self._taken = True
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._late.forget(self._frame_id, self._future, taken=self._taken)
