"""Files that are there whole or not at all, whenever a program is stopped."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Write beside `path` and rename; a reader sees the old file or the new one. The folder is made where it lacks.

    Args:
        path: the file.
        write: writes to the path that it is given, which has the suffix of `path`.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.stem}.partial{path.suffix}")
    write(fresh)
    fresh.replace(path)
