"""Damaged databases, set aside as `NAME.damaged-UNIXTIME` beside the fresh one: the newest of them is kept."""

from __future__ import annotations

import logging
import os
import re
import time
from pathlib import Path

_log = logging.getLogger(__name__)

_COMPANIONS = ("-wal", "-shm", "-journal")


def set_aside(path: Path) -> Path:
    """Rename a damaged database, with its logs, to `NAME.damaged-UNIXTIME`; return the new path.

    The number is higher than that of any copy that is there, whatever the clock says.
    """
    times = [_time_of(copy) for copy in copies(path)]
    aside = path.with_name(f"{path.name}.damaged-{max([int(time.time()), *(found + 1 for found in times)])}")
    os.replace(path, aside)
    for suffix in _COMPANIONS:
        companion = path.with_name(path.name + suffix)
        if companion.exists():
            os.replace(companion, aside.with_name(aside.name + suffix))
    return aside


def copies(path: Path) -> list[Path]:
    """The damaged copies of a database, the newest first."""
    name = re.compile(rf"{re.escape(path.name)}\.damaged-\d+(-\d+)?")
    found = [file for file in path.parent.iterdir() if name.fullmatch(file.name)]
    return sorted(found, key=lambda file: (_time_of(file), len(file.name), file.name), reverse=True)


def size_of(copy: Path) -> int:
    """Bytes of a copy and its log."""
    return sum(file.stat().st_size for file in (copy, _companion(copy, "-wal")) if file.exists())


def remove(*unwanted: Path) -> None:
    """Delete copies, as far as that can be done."""
    for copy in unwanted:
        _log.warning("%s, a damaged copy, is removed", copy)
        try:
            for file in (*(_companion(copy, suffix) for suffix in _COMPANIONS), copy):
                file.unlink(missing_ok=True)
        except OSError as error:
            _log.error("cannot remove %s: %s", copy, error)


def remove_older(path: Path) -> None:
    """Delete the damaged copies of a database but for the newest."""
    remove(*copies(path)[1:])


def _companion(copy: Path, suffix: str) -> Path:
    return copy.with_name(copy.name + suffix)


def _time_of(copy: Path) -> int:
    return int(copy.name.rpartition(".damaged-")[2].partition("-")[0])
