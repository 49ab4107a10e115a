"""What several commands share: the kinds of data, uploads, progress bars."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from edge_sdk.images.rendition import Upload
from edge_sdk.workbench.labelled import Split

_LINE_EVERY_S = 30.0

DATA_HELP = "A folder of class folders, or simulated://trailcam?seed=0&frames=2000."


def measuring_split(address: str) -> Split:
    """The split to measure on: the simulated camera has frames for this; of a folder all is used."""
    return Split.CALIBRATION if address.startswith("simulated://") else Split.ALL


def parse_upload(ctx: click.Context, parameter: click.Parameter, text: str | None) -> Upload | None:
    """Read SIDE@QUALITY or SIDE@QUALITY.webp."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d{2,5})@(\d{1,3})(?:\.(jpeg|webp))?", text, re.ASCII)
    if match is None or not 1 <= int(match[2]) <= 100 or int(match[1]) < 16:
        raise click.BadParameter(f"expected LONGER_SIDE@QUALITY, such as 640@85 or 640@85.webp; got {text!r}")
    return Upload(int(match[1]), int(match[2]), "webp" if match[3] == "webp" else "jpeg")


@contextmanager
def progress_bars(console: Console) -> Iterator[Bar]:
    """Progress bars on a terminal, now and then a line on a pipe."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with (Bar if console.is_terminal else _Lines)(*columns, console=console, disable=not console.is_terminal) as bars:
        yield bars


class _Lines(Bar):
    """Progress in a log: a line where the last one is half a minute old."""

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
            self.console.print(f"{task.description}: {task.completed:g}{of}{left}")
