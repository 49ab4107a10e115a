"""SQLite's write-ahead log, read to learn whether it was damaged after it had been whole.

SQLite ends a log at the first frame whose checksum is wrong, without a word: one flipped bit silently takes back every
commit that follows. A log whose commits were each synced tells the two causes apart: after a power cut nothing whole
follows the broken commit; where a whole later commit does, the disk has changed what it held.

The format and its checksum: https://www.sqlite.org/fileformat2.html#the_write_ahead_log
"""

from __future__ import annotations

import functools
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_HEADER = struct.Struct(">8I")  # magic, version, page size, checkpoint, salt 1, salt 2, checksum 1, checksum 2
_FRAME = struct.Struct(">6I")  # page, pages after a commit or else 0, salt 1, salt 2, checksum 1, checksum 2
_LITTLE_ENDIAN, _BIG_ENDIAN = 0x377F0682, 0x377F0683
_VERSION = 3_007_000
_MAX_PAGES = 1 << 24

Sums = tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Frame:
    page: int
    pages_after_commit: int
    salts: Sums
    sums: Sums
    summed: bytes  # what the checksum covers: the header's first 8 bytes and the page


@dataclass(frozen=True, slots=True)
class _Log:
    sound: bool  # the header's checksum is right
    salts: Sums
    sums: Sums
    words: str  # numpy's type of the words that are summed
    frames: list[_Frame]


def is_damaged(database: Path) -> bool:
    """Whether a commit in the log of `database` is broken although a whole one follows it."""
    log = _read(database)
    if log is None:
        return False
    sums, whole, commits_after = log.sums, log.sound, 0
    for frame in log.frames:
        if whole:
            sums = _checksum(frame.summed, sums, log.words)
            whole = frame.sums == sums and frame.salts == log.salts
        if not whole and frame.pages_after_commit and frame.salts == log.salts:
            commits_after += 1
    return commits_after >= 2  # the broken commit itself may be whole but for one page


def mend(database: Path) -> None:
    """Write a damaged log anew with checksums that fit what it holds, so that SQLite reads all of it.

    Frames whose own header is damaged are left out. The pages may be damaged: this is for `database.salvage`, which
    takes what can be read, not for a database that is to be used.
    """
    log = _read(database)
    if log is None or not log.frames:
        return
    page_bytes = len(log.frames[0].summed) - 8
    head = struct.pack(">6I", _LITTLE_ENDIAN, _VERSION, page_bytes, 0, *log.salts)
    sums = _checksum(head, (0, 0), "<u4")
    parts = [head + struct.pack(">2I", *sums)]
    for frame in log.frames:
        if frame.salts == log.salts and 0 < frame.page < _MAX_PAGES and frame.pages_after_commit < _MAX_PAGES:
            sums = _checksum(frame.summed, sums, "<u4")
            parts.append(
                struct.pack(">6I", frame.page, frame.pages_after_commit, *frame.salts, *sums) + frame.summed[8:]
            )
    _log_of(database).write_bytes(b"".join(parts))


def _log_of(database: Path) -> Path:
    return database.with_name(database.name + "-wal")


def _read(database: Path) -> _Log | None:
    """The log of a database, or None where there is none or it is not known how to read it."""
    try:
        content = _log_of(database).read_bytes()
        with database.open("rb") as file:
            (page_bytes,) = struct.unpack_from(">H", file.read(18), 16)
    except (OSError, struct.error):
        return None
    page_bytes = 65_536 if page_bytes == 1 else page_bytes
    if page_bytes < 512 or page_bytes & (page_bytes - 1) or len(content) < _HEADER.size:
        return None
    magic, _, _, _, *rest = _HEADER.unpack_from(content)
    words = ">u4" if magic == _BIG_ENDIAN else "<u4"
    salts, sums = (rest[0], rest[1]), (rest[2], rest[3])
    sound = magic in (_LITTLE_ENDIAN, _BIG_ENDIAN) and _checksum(content[:24], (0, 0), words) == sums
    frames = []
    for at in range(_HEADER.size, len(content) - _FRAME.size - page_bytes + 1, _FRAME.size + page_bytes):
        page, after, *found = _FRAME.unpack_from(content, at)
        summed = content[at : at + 8] + content[at + _FRAME.size : at + _FRAME.size + page_bytes]
        frames.append(_Frame(page, after, (found[0], found[1]), (found[2], found[3]), summed))
    if not sound and frames:
        salts = frames[0].salts
    return _Log(sound, salts, sums, words, frames)


def _checksum(data: bytes, sums: Sums, words: str) -> Sums:
    """SQLite's: for each pair of words (x, y), s += x + t and then t += y + s, modulo 2**32; as sums of products."""
    pairs = np.frombuffer(data, words).astype(np.uint32).reshape(-1, 2)
    weights = _weights(len(pairs))
    of_start = weights[0] @ np.array(sums, np.uint32)
    x, y = pairs[:, 0], pairs[:, 1]
    steps = weights[1:]
    both = steps[:, :, 0] * x[:, None] + steps[:, :, 1] * (x + y)[:, None]
    s, t = (int(value) & 0xFFFFFFFF for value in of_start + both.sum(axis=0, dtype=np.uint32))
    return s, t


@functools.cache
def _weights(pairs: int) -> NDArray[np.uint32]:
    """`uint32 (pairs + 1, 2, 2)`: the step's matrix to the powers pairs, pairs - 1, ..., 0."""
    powers = [(1, 0, 0, 1)]
    for _ in range(pairs):
        a, b, c, d = powers[-1]
        powers.append(tuple(value & 0xFFFFFFFF for value in (a + b, a + 2 * b, c + d, c + 2 * d)))  # type: ignore[arg-type]
    return np.array(powers[::-1], np.uint32).reshape(-1, 2, 2)
