"""Progress of long work: bars on a terminal, a line now and then in a log."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from edge_sdk.terminal.text import literal, say

_FIRST_LINE_S, _LINE_EVERY_S = 5.0, 30.0


@contextmanager
def progress_bars(console: Console) -> Iterator[Progress]:
    """Progress bars on a terminal; elsewhere a line after five seconds, and then every half minute."""
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
            tasks[what] = bars.add_task(literal(what), total=of or None)
        bars.update(tasks[what], completed=done, total=of or None)

    return show


class _Lines(Progress):
    """Prints a line when the next one is due."""

    _due: float | None = None

    def update(self, task_id: TaskID, **changes: Any) -> None:
        super().update(task_id, **changes)
        now = self.get_time()
        task = self._tasks[task_id]
        if self._due is None:
            self._due = now + _FIRST_LINE_S
        elif now >= self._due and (not task.total or task.time_remaining is not None):
            self._due = now + _LINE_EVERY_S
            of = f" of {task.total:g}" if task.total else ""
            left = f", {timedelta(seconds=round(task.time_remaining))} left" if task.time_remaining else ""
            say(self.console, f"{task.description}: {task.completed:g}{of}{left}")
