"""Which files of cards were done, so that a second run over a card takes what is new."""

from __future__ import annotations

import hashlib
from collections import deque

from edge_sdk.store.table import Change, FrameTable

MOST_FILES = 1_000_000
"""Files that are remembered; the oldest go first."""
_QUEUED = 20_000


class DoneFiles:
    """The files whose frames were all handled by one model. It is an `edge_sdk.camera.folder.DoneFiles`.

    A file is named by a mark: its path, size and date in one text. A frame of a file has an id that follows from the
    mark and its place, so that a frame whose run was cut short is counted once.

    Args:
        table: where they are kept.
        model: version of the little model: another one has files of its own to do.
    """

    def __init__(self, table: FrameTable, model: str) -> None:
        self._table, self._model = table, model
        self._queued: deque[bytes] = deque(maxlen=_QUEUED)  # those that may not be on the disk yet

    def contains(self, mark: str) -> bool:
        """Whether all frames of the file were handled.

        Raises:
            StorageError: the table cannot be read.
        """
        digest = self._digest(mark)
        return digest in self._queued or bool(self._rows("SELECT 1 FROM done_files WHERE digest = ?", digest))

    def add(self, mark: str) -> None:
        """All frames of the file have been handled. It is on the disk together with their answers."""
        digest = self._digest(mark)
        self._queued.append(digest)
        self._table.change(
            Change("INSERT OR IGNORE INTO done_files (digest) VALUES (?)", (digest,)),
            Change("DELETE FROM done_files WHERE number <= (SELECT max(number) FROM done_files) - ?", (MOST_FILES,)),
        )

    def frame_id(self, mark: str, place: str = "") -> str:
        """The id of the frame at this place of the file, always the same."""
        return self._digest(f"{mark}\n{place}").hex()

    def has_frame(self, frame_id: str) -> bool:
        """Whether the frame was handled.

        Raises:
            StorageError: the table cannot be read.
        """
        return bool(self._rows("SELECT 1 FROM frames WHERE frame_id = ?", frame_id))

    def _rows(self, sql: str, value: str | bytes) -> list[tuple[object, ...]]:
        return self._table.read(sql, [value], queued=False)

    def _digest(self, text: str) -> bytes:
        return hashlib.blake2b(f"{self._model}\n{text}".encode(errors="surrogatepass"), digest_size=16).digest()
