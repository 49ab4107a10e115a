"""The table of open files: whether this process may open further ones, and what to say where it may not."""

from __future__ import annotations

import errno
import os

FULL_TABLE = frozenset({errno.EMFILE, errno.ENFILE})
"""Errors of a process, or a machine, that may open no further file."""
TOO_MANY_FILES = (
    "no connection can be opened: too many files are open in this process (`ulimit -n`); the link tries again by itself"
)


def full_table(needed: int = 1) -> OSError | None:
    """An error that says so, if this process may not open `needed` further files now."""
    opened: list[int] = []
    try:
        for _ in range(needed):
            opened.append(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        return ConnectionError(TOO_MANY_FILES) if error.errno in FULL_TABLE else None
    finally:
        for file in opened:
            os.close(file)
    return None
