"""What several commands share: the kinds of data, uploads, progress bars."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from edge_sdk.policy import Upload
from edge_sdk.workbench.data import Split

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
    """Progress bars on a terminal, nothing on a pipe."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=console, disable=not console.is_terminal) as bars:
        yield bars
