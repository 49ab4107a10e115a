"""The log of a service: lines on standard error, without the repeats of what lasts.

A camera that is away fails every half minute for as long as it takes. Each such line is written once, and then at most
once in a while, with the number of those that were left out: a log that says the same for months wears the disk.
"""

from __future__ import annotations

import logging
import os
import re
import sys
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import TextIO

from edge_sdk.durable.clock import steady_s
from edge_sdk.terminal.line import literal

SERVICE = "edge_sdk.service"
"""Logger of the service itself: what it tells that is no fault (visits, reloads) is never left out, however alike."""

_MOST = 200  # texts that are remembered
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_SYSLOG = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}


class Repeats(logging.Filter):
    """Leaves out lines that say what was said less than `every_s` ago, numbers apart.

    Args:
        every_s: seconds; 0 lets all through.
        clock: steady seconds.
    """

    def __init__(self, every_s: float, *, clock: Callable[[], float] = steady_s) -> None:
        super().__init__()
        self.every_s, self._clock = every_s, clock
        self._told: OrderedDict[tuple[str, int, str], tuple[float, int]] = OrderedDict()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a line is written; one that is says how many were not."""
        if record.levelno < logging.WARNING and record.name.startswith(SERVICE):
            return True
        key, now_s = (record.name, record.levelno, _NUMBER.sub("#", record.getMessage())), self._clock()
        told_s, left_out = self._told.get(key, (-float("inf"), 0))
        if now_s - told_s < self.every_s:
            self._told[key] = told_s, left_out + 1
            return False
        if left_out:
            record.msg, record.args = f"{record.getMessage()} (and {left_out} more times before)", ()
        self._told[key] = now_s, 0
        self._told.move_to_end(key)
        while len(self._told) > _MOST:
            self._told.popitem(last=False)
        return True


class _Line(logging.Formatter):
    """One line a record, whatever its text holds; a traceback follows on lines of its own."""

    def __init__(self, for_journal: bool) -> None:
        super().__init__("%(levelname)s %(message)s" if not for_journal else "%(message)s")
        self._for_journal = for_journal

    def format(self, record: logging.LogRecord) -> str:
        """The line; for systemd's journal with its level before it, as sd-daemon(3) has it, and without the time."""
        record.msg, record.args = literal(record.getMessage()), ()
        text = super().format(record)
        if self._for_journal:
            level = _SYSLOG.get(record.levelno, 5)
            return "\n".join(f"<{level}>{line}" for line in text.splitlines())
        return f"{self.formatTime(record)} {text}"


def open_log(
    level: str, repeat_after_s: float, *, stream: TextIO | None = None, environment: Mapping[str, str] = os.environ
) -> Repeats:
    """Write the SDK's log to standard error, and of other packages warnings alone.

    Args:
        level: lowest level of the SDK's lines.
        repeat_after_s: as `Repeats.every_s`.
        stream: in place of standard error.
        environment: `JOURNAL_STREAM` says whether that is systemd's journal.

    Returns:
        The filter of repeats.
    """
    stream = stream or sys.stderr
    handler, repeats = logging.StreamHandler(stream), Repeats(repeat_after_s)
    handler.setFormatter(_Line(_is_journal(stream, environment)))
    handler.addFilter(repeats)
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    set_level(level)
    return repeats


def set_level(level: str) -> None:
    """The lowest level of the SDK's lines from now on."""
    logging.getLogger("edge_sdk").setLevel(level.upper())


def _is_journal(stream: TextIO, environment: Mapping[str, str]) -> bool:
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return environment.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"
