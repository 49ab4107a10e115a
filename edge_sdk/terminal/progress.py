"""Progress of long work: bars on a terminal, a line now and then in a log."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from edge_sdk.terminal.text import literal, say

_LINE_EVERY_S = 30.0


@contextmanager
def progress_bars(console: Console) -> Iterator[Progress]:
    """Progress bars on a terminal, and a line every half minute elsewhere."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    kind = Progress if console.is_terminal else _Lines
    with kind(*columns, console=console, disable=not console.is_terminal) as bars:
        yield bars


def shown_by(bars: Progress) -> Callable[[str, int, int], None]:
    """A function `show(what, done, of)` that adds a bar for each new `what` and moves it."""
    tasks: dict[str, TaskID] = {}

    def show(what: str, done: int, of: int) -> None:
        if what not in tasks:
            tasks[what] = bars.add_task(literal(what), total=of)
        bars.update(tasks[what], completed=done, total=of)

    return show


class _Lines(Progress):
    """Prints a line when the last one is half a minute old."""

    _told_at: float | None = None

    def update(self, task_id: TaskID, **changes: Any) -> None:
        super().update(task_id, **changes)
        now = self.get_time()
        if self._told_at is None:
            self._told_at = now
        elif now - self._told_at >= _LINE_EVERY_S:
            self._told_at = now
            task = self._tasks[task_id]
            of = "" if task.total is None else f" of {task.total:g}"
            left = "" if task.time_remaining is None else f", {timedelta(seconds=task.time_remaining)} left"
            say(self.console, f"{task.description}: {task.completed:g}{of}{left}")
