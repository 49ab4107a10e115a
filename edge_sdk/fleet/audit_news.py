"""The device's counts of audits, counted once a day, and whether the server has yet to be told of them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from edge_sdk.errors import StorageError
from edge_sdk.fleet.allowance import DAY_S
from edge_sdk.fleet.audits import MOST_CHANCES
from edge_sdk.store.audits import AuditCounts

_log = logging.getLogger(__name__)

_CHANCE_BYTES = 30  # of a report, for one chance, estimated from above


class AuditNews:
    """What is known of the audits. Used by the uplink's thread, but for `count`, which runs while that one waits.

    Args:
        counts: counts the audits of the model in service, by chance; reads the journal, which may take seconds.
        elapsed_s: a clock that never runs backwards, seconds.
    """

    def __init__(self, counts: Callable[[], Sequence[AuditCounts]], elapsed_s: Callable[[], float]) -> None:
        self._counts, self._elapsed_s = counts, elapsed_s
        self._counted_s: float | None = None
        self._known: tuple[AuditCounts, ...] = ()
        self._told: tuple[AuditCounts, ...] = ()
        self._sent: tuple[AuditCounts, ...] | None = None

    @property
    def due(self) -> bool:
        """Whether a day has gone by since the last count."""
        return self._counted_s is None or self._elapsed_s() - self._counted_s >= DAY_S

    def count(self) -> None:
        """Count; what cannot be read, or is more than the wire has room for, is logged."""
        self._counted_s = self._elapsed_s()
        try:
            found = tuple(self._counts())
        except StorageError as error:
            _log.error("audits cannot be reported: %s", error)
            return
        if len(found) > MOST_CHANCES:
            many = len(found), MOST_CHANCES
            _log.warning("audits are not reported: there were %d chances, the wire has room for %d", *many)
            return
        self._known = found

    def next(self, room: int) -> tuple[tuple[AuditCounts, ...] | None, int]:
        """Counts that the server is to be told, or None: it knows them, or they do not fit; and their bytes.

        Args:
            room: bytes that they may take.
        """
        size = _CHANCE_BYTES * len(self._known)
        is_new = self._known != self._told and size <= room
        self._sent = self._known if is_new else None
        return self._sent, size if is_new else 0

    def taken(self) -> None:
        """The server has kept the report for which `next` was asked."""
        if self._sent is not None:
            self._told = self._sent
