"""Counts of what devices reported, for the metrics and the page: read from the file of reports, seldom."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from cloud_server.fleet.turn import turn
from edge_sdk.errors import StorageError
from edge_sdk.fleet.report_file import ReportFile, Tally

FRESH_S = 30.0
"""Seconds for which counts are given again: counting a million rows takes a while."""
DAY_S = 86_400.0


class Tallies:
    """Audits and events by device, from any thread.

    Args:
        where: the folder of the reports, or the address of a database.
        clock: seconds since 1970.
    """

    def __init__(self, where: Path | str, clock: Callable[[], float] = time.time) -> None:
        self._where, self._clock = where, clock
        self._guard = threading.Lock()
        self._file: ReportFile | None = None
        self._read_s = float("-inf")
        self._found: Mapping[str, Tally] = {}

    def read(self) -> Mapping[str, Tally]:
        """By device; events are those of the last day. What was read last, where it cannot be read now."""
        with turn(self._guard) as is_ours:
            now_s = self._clock()
            if is_ours and not 0 <= now_s - self._read_s < FRESH_S:
                try:
                    self._file = self._file or ReportFile(self._where)
                    self._found = self._file.tallies(round((now_s - DAY_S) * 1000))
                    self._read_s = now_s
                except StorageError:
                    pass
            return self._found
