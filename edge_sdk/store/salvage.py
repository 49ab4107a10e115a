"""Reading rows out of a damaged table without SQLite: every leaf page that its file and its log still hold.

Neither the schema, nor the tree above the leaves, nor a checksum of the log must be whole. Formats:
https://www.sqlite.org/fileformat2.html, sections 1.6 (pages), 2.1 (records), 4.1 (the log). Rows that do not fit into
one page (sources or notes of many hundred characters) are left out.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_LEAF = 13
_LOG_HEAD, _LOG_FRAME = 32, 24
_INTEGER_BYTES = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}


def rows_in(damaged: Path, columns: int, page_bytes: int, added: int = 0) -> Iterator[list[Any]]:
    """The rows of `columns` values in a damaged file and then in its log: older versions of a row come first.

    Args:
        damaged: the file; its log is beside it.
        columns: of the table; the first is its INTEGER PRIMARY KEY.
        page_bytes: size of the file's pages.
        added: how many of the last columns a row of an older version may lack; they are None then.
    """
    for page in [*_pages(damaged, 0, 0, page_bytes), *_log_pages(damaged, page_bytes)]:
        if page[:1] == bytes([_LEAF]):
            for place in struct.unpack_from(f">{min(int.from_bytes(page[3:5], 'big'), page_bytes // 4)}H", page, 8):
                try:
                    row = _row(page, place)
                except (ValueError, IndexError, struct.error):
                    continue
                if columns - added <= len(row) <= columns:
                    yield row + [None] * (columns - len(row))


def _log_pages(damaged: Path, page_bytes: int) -> Iterator[bytes]:
    return _pages(damaged.with_name(f"{damaged.name}-wal"), _LOG_HEAD, _LOG_FRAME, page_bytes)


def _pages(path: Path, start: int, skip: int, page_bytes: int) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            file.seek(start)
            while len(page := file.read(skip + page_bytes)) == skip + page_bytes:
                yield page[skip:]
    except OSError:
        return


def _row(page: bytes, at: int) -> list[Any]:
    size, at = _varint(page, at)
    number, at = _varint(page, at)
    payload = page[at : at + size]
    if len(payload) < size or size > len(page) - 35:  # it goes on in another page
        raise ValueError
    end, at = _varint(payload, 0)
    kinds, values = [], []
    while at < end:
        kind, at = _varint(payload, at)
        kinds.append(kind)
    at = end
    for kind in kinds:
        value, at = _value(payload, at, kind)
        values.append(value)
    if not values or values[0] is not None:  # the key stands before the record
        raise ValueError
    return [number, *values[1:]]


def _value(payload: bytes, at: int, kind: int) -> tuple[Any, int]:
    if kind in (0, 8, 9):
        return (None if kind == 0 else kind - 8), at
    if kind == 7:
        return struct.unpack_from(">d", payload, at)[0], at + 8
    size = _INTEGER_BYTES[kind] if kind in _INTEGER_BYTES else (kind - 12) // 2
    content = payload[at : at + size]
    if len(content) < size or kind in (10, 11):
        raise ValueError
    if kind in _INTEGER_BYTES:
        return int.from_bytes(content, "big", signed=True), at + size
    return (content.decode() if kind % 2 else content), at + size


def _varint(content: bytes, at: int) -> tuple[int, int]:
    value = 0
    for _ in range(8):
        byte = content[at]
        value, at = value << 7 | byte & 0x7F, at + 1
        if byte < 0x80:
            return value, at
    return value << 8 | content[at], at + 1
