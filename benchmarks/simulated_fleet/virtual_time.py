"""An event loop whose clock jumps to the next timer: a day of a fleet takes minutes, and each run is the same."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _Nothing(selectors.SelectSelector):
    """Waits for no file: it moves the clock on."""

    def __init__(self, advance: Callable[[float], None]) -> None:
        super().__init__()
        self._advance = advance

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise RuntimeError("expected a timer; got none: everything waits for something that never happens")
        self._advance(timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """Runs coroutines in simulated time; work for threads runs at once and takes as long as it says.

    Attributes:
        takes_s: seconds that the work which runs now takes, set by that work.
    """

    def __init__(self) -> None:
        self._virtual_s = 0.0
        self.takes_s = 0.0
        super().__init__(_Nothing(self._advance))

    def time(self) -> float:
        """Simulated seconds since the loop began."""
        return self._virtual_s

    def run_in_executor(self, executor: Any, function: Callable[..., T], *args: Any) -> asyncio.Future[T]:  # type: ignore[override]
        """Run `function` now, and end `takes_s` simulated seconds later."""
        future: asyncio.Future[T] = self.create_future()
        self.takes_s = 0.0
        try:
            result = function(*args)
        except Exception as error:
            self.call_later(self.takes_s, _fail, future, error)
        else:
            self.call_later(self.takes_s, _succeed, future, result)
        return future

    def _advance(self, seconds: float) -> None:
        self._virtual_s += seconds


def run_in_virtual_time(work: Coroutine[Any, Any, T]) -> T:
    """What `asyncio.run` does, in simulated time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work)


def _fail(future: asyncio.Future[Any], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)


def _succeed(future: asyncio.Future[T], result: T) -> None:
    if not future.done():
        future.set_result(result)
