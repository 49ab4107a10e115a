"""A queue of what comes late on its way to the application, which takes each item once."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    import asyncio

T = TypeVar("T")

_MAX_QUEUED = 10_000
_LOOK_EVERY_S = 0.5


class News(Generic[T]):
    """A queue; of more than 10,000 items that nobody takes, the latest. Threads and asyncio tasks may share it."""

    def __init__(self) -> None:
        self._queue: deque[T] = deque(maxlen=_MAX_QUEUED)
        self._news = threading.Condition()
        self._listeners: list[Callable[[], None]] = []
        self._closed = False

    def take(self) -> T | None:
        """The oldest item in the queue, removed; None where there is none."""
        with self._news:
            return self._queue.popleft() if self._queue else None

    def each(self, wait_s: float, hopeful: Callable[[], bool]) -> Iterator[T]:
        """Items, each once; waits for more while `hopeful`, `wait_s` in all."""
        end = time.monotonic() + wait_s
        while True:
            with self._news:
                while not self._queue:
                    left_s = end - time.monotonic()
                    if left_s <= 0 or self._closed or not hopeful():
                        return
                    self._news.wait(min(left_s, _LOOK_EVERY_S))
                item = self._queue.popleft()
            yield item

    async def each_async(self, wait_s: float, hopeful: Callable[[], bool]) -> AsyncIterator[T]:
        """As `each`, for asyncio."""
        import asyncio

        end = time.monotonic() + wait_s
        with self._listening() as news:
            while True:
                news.clear()
                while (item := self.take()) is not None:
                    yield item
                left_s = end - time.monotonic()
                if left_s <= 0 or self._closed or not hopeful():
                    return
                with suppress(TimeoutError):
                    await asyncio.wait_for(news.wait(), min(left_s, _LOOK_EVERY_S))

    @contextmanager
    def _listening(self) -> Iterator[asyncio.Event]:
        """Set at each piece of news, on the running loop."""
        import asyncio

        loop, news = asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(news.set)

        with self._news:
            self._listeners.append(wake)
        try:
            yield news
        finally:
            with self._news:
                self._listeners.remove(wake)

    def wake(self) -> None:
        """Something changed that `hopeful` looks at."""
        with self._news:
            self._wake()

    def close(self) -> None:
        """Nobody waits any longer."""
        with self._news:
            self._closed = True
            self._wake()

    def _wake(self) -> None:
        self._news.notify_all()
        for listener in self._listeners:
            listener()
