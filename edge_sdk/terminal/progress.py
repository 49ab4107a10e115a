"""Progress of long work: bars on a terminal, a line every few seconds in a log, with an estimate as soon as may be."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.text import Text

from edge_sdk.terminal.text import literal, say

FIRST_LINE_S, LINE_EVERY_S = 3.0, 10.0
_WINDOW_S = 120.0  # the speed is that of the last two minutes
_BEGINNING = "starting"


@contextmanager
def progress_bars(console: Console) -> Iterator[Progress]:
    """Progress bars on a terminal; elsewhere a line after three seconds, and then every ten.

    The lines come whether or not the work reports anything: a step that says nothing of itself is named with its time.
    """
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), _Left())
    kind = _Paced if console.is_terminal else _Lines
    with kind(*columns, console=console, disable=not console.is_terminal) as bars:
        yield bars


@contextmanager
def loading(console: Console) -> Iterator[None]:
    """While large packages are imported, which takes seconds: a spinner on a terminal, lines elsewhere."""
    if console.is_terminal:
        with console.status("loading"):
            yield
    else:
        with progress_bars(console):
            yield


def shown_by(bars: Progress) -> Callable[[str, int, int], None]:
    """A function `show(what, done, of)` that adds a bar for each new `what` and moves it; `of` 0: nobody knows."""
    tasks: dict[str, TaskID] = {}

    def show(what: str, done: int, of: int) -> None:
        if what not in tasks:
            tasks[what] = bars.add_task(literal(what), total=of or None)
        bars.update(tasks[what], completed=done, total=of or None)

    return show


class Steps:
    """The step that a command is in: told as it begins, and kept for the word on where the command was stopped.

    Attributes:
        now: the step.
    """

    def __init__(self, console: Console, first: str) -> None:
        """Begin with a step that is not told."""
        self.console, self.now = console, first

    def __call__(self, text: str) -> None:
        """A step begins."""
        self.now = text
        say(self.console, f"{text} ...")


class Pace:
    """How fast a piece of work goes, from what it reports; a resumed one begins at what is done already."""

    def __init__(self, began: float) -> None:
        """Begin at `began`, in seconds of any clock."""
        self.began = began
        self._told: deque[tuple[float, float]] = deque()

    def tell(self, now: float, done: float) -> None:
        """Note that so much is done."""
        if not self._told or done < self._told[-1][1]:  # the next round of the same work begins anew
            self._told.clear()
            self.began = now if done == 0 else self.began
        elif done == self._told[-1][1]:
            return
        self._told.append((now, done))
        while len(self._told) > 2 and self._told[1][0] < now - _WINDOW_S:
            self._told.popleft()

    def left_s(self, now: float, total: float | None) -> float | None:
        """Seconds until `total` is done; None where that cannot be known yet."""
        if total is None or len(self._told) < 2:
            return None
        (first, before), (last, done) = self._told[0], self._told[-1]
        if last <= first:
            return None
        rate = (done - before) / (last - first)
        return max(0.0, (total - done) / rate - (now - last))


class _Paced(Progress):
    """Progress that knows the pace of each task."""

    def __init__(self, *columns: ProgressColumn, **settings: Any) -> None:
        super().__init__(*columns, **settings)
        self.newest: TaskID | None = None

    def add_task(self, description: str, *args: Any, **settings: Any) -> TaskID:
        return super().add_task(description, *args, pace=Pace(self.get_time()), **settings)

    def update(self, task_id: TaskID, **changes: Any) -> None:
        super().update(task_id, **changes)
        with self._lock:
            task = self._tasks[task_id]
            self.newest = task_id
            task.fields["pace"].tell(self.get_time(), task.completed)


class _Left(ProgressColumn):
    """Time left; while that is unknown, the time since the task began."""

    def render(self, task: Task) -> Text:
        """`0:01:40 left`, or `0:00:20`."""
        now, pace = task.get_time(), task.fields["pace"]
        left = pace.left_s(now, task.total)
        if task.finished or left is None:
            return Text(_clock((task.finished_time if task.finished else None) or now - pace.began))
        return Text(f"{_clock(left)} left")


class _Lines(_Paced):
    """Prints a line whenever one is due, from a thread of its own, so that a step that says nothing is named too."""

    def __init__(self, *columns: ProgressColumn, **settings: Any) -> None:
        super().__init__(*columns, **settings)
        self._ended = threading.Event()
        self._began = self.get_time()
        self._thread = threading.Thread(target=self._print_when_due, name="progress", daemon=True)

    def start(self) -> None:
        super().start()
        self._began = self.get_time()
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()  # no line comes after the end
        super().stop()

    def _print_when_due(self) -> None:
        wait = FIRST_LINE_S
        with suppress(OSError, ValueError):  # nobody reads any more: the work goes on, and the command's own words tell
            while not self._ended.wait(wait):
                say(self.console, self.line())
                wait = LINE_EVERY_S

    def line(self) -> str:
        """Where the work stands: the step that reported last, with its parts done and the time left."""
        now = self.get_time()
        with self._lock:
            if self.newest is None:
                return f"{_BEGINNING}: {_clock(now - self._began)} so far"
            task = self._tasks[self.newest]
            pace, done, total, name = task.fields["pace"], task.completed, task.total, task.description
        left = pace.left_s(now, total)
        parts = [] if total is None and not done else [f"{done:g}" + (f" of {total:g}" if total else "")]
        if left is not None and total != done:
            parts.append(f"{_clock(left)} left")
        else:
            parts.append(f"{_clock(now - pace.began)} so far")
        return f"{name}: {', '.join(parts)}"


def _clock(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
