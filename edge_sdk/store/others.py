"""Frames of a model with other labels, which wait for that model: they give way when room is short, and with age."""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import Any

from edge_sdk.durable.files import move
from edge_sdk.store import events
from edge_sdk.store.frames import SUFFIX
from edge_sdk.store.recovery import FRAMES
from edge_sdk.store.schema import FINISH, Change, State
from edge_sdk.store.table import FrameTable
from edge_sdk.types import Reason

_log = logging.getLogger(__name__)


class OtherFrames:
    """The waiting frames of other models. Not for two threads at once.

    Args:
        table: the table of frames.
    """

    def __init__(self, table: FrameTable) -> None:
        self._table = table
        self._ranked: list[tuple[float, str, int]] = []  # rank, id and bytes, the lowest last

    def load(self, rows: list[tuple[Any, ...]], oldest_ns: int) -> None:
        """Take over rows that begin with id, rank, handled and bytes; frames handled before `oldest_ns` leave."""
        self._ranked = sorted(((row[1], row[0], row[3]) for row in rows if row[2] >= oldest_ns), reverse=True)
        for frame_id, _, handled_ns, *_ in rows:
            if handled_ns < oldest_ns:
                self._let_go(frame_id, Reason.EXPIRED, "")
        if self._ranked:
            _log.warning("spool: %d frames of a model with other labels wait for that model", len(self._ranked))

    def make_room(self, free_bytes: int, note: str) -> None:
        """Let go the frames of the lowest rank until the others fit into `free_bytes`."""
        used = sum(size for *_, size in self._ranked)
        while self._ranked and used > free_bytes:
            _, frame_id, size = self._ranked.pop()
            used -= size
            self._let_go(frame_id, Reason.EVICTED, note)

    def let_go(self, frame_ids: Collection[str], reason: Reason) -> None:
        """Let go those of these frames that wait here."""
        for frame_id in [one for _, one, _ in self._ranked if one in frame_ids]:
            self._let_go(frame_id, reason, "")
        self._ranked = [row for row in self._ranked if row[1] not in frame_ids]

    def _let_go(self, frame_id: str, reason: Reason, note: str) -> None:
        gone = (State.LOST, reason, note, note, None, 0.0, frame_id)
        path = self._table.folder / FRAMES / f"{frame_id}{SUFFIX}"
        self._table.change(Change(FINISH, gone, lambda _: move(path, None)), events.left(frame_id, State.LOST, reason))
