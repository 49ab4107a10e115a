"""A state folder of version 0 (`journal.db` and `spool/`) becomes one of today's, at the first start."""

from __future__ import annotations

import hashlib
import logging
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from edge_sdk.durable.database import readable
from edge_sdk.durable.files import remove
from edge_sdk.store.frames import SUFFIX, SpoolItem, encode_frame, rank_of, write_frame
from edge_sdk.store.recovery import FRAMES
from edge_sdk.store.schema import INSERT, FrameRecord, State, first_row, moment
from edge_sdk.types import Answer, Origin, Reason

_log = logging.getLogger(__name__)

_OLD_MAGIC, _OLD_DIGEST_BYTES = b"ESPOOL1\n", 16
_COLUMNS = (
    "frame_id, captured_us, utc_offset_s, source, truth, note, device_label, device_confidence, device_final, "
    "device_reason, cloud_label, cloud_confidence, cloud_reason"
)


class _Old(msgspec.Struct, array_like=True, frozen=True):
    frame_id: str
    captured_at: str
    source: str
    gain: float
    probabilities: bytes
    image: bytes


def take_over(connection: sqlite3.Connection, folder: Path, labels: tuple[str, ...], now_ns: int) -> None:
    """Take the frames of an old folder into the table, within the caller's transaction; then its files go.

    A stop in between does no harm: what has a row is passed over when it is done again. Frames that wait begin to wait
    anew, since they were counted on a clock of their own.
    """
    waiting, journal = folder / "spool" / "frames", folder / "journal.db"
    if not waiting.is_dir() and not journal.is_file():
        return
    answers = {row[0]: row for row in _rows(journal, f"SELECT {_COLUMNS} FROM frame ORDER BY number")}
    lost = {row[0]: row[2] for row in _rows(folder / "spool" / "index.sqlite3", "SELECT * FROM lost")}
    for path in sorted(waiting.glob("*.frame")):
        if path.stem not in lost and (answers.get(path.stem) is None or not _is_final(answers[path.stem])):
            try:
                item = _decode(path.read_bytes(), path.stem)
            except (OSError, ValueError, msgspec.MsgspecError) as error:
                _log.error("%s is damaged (%s): its frame is lost", path, error)
                continue
            record = _record(item, answers.pop(path.stem, None), labels)
            content = encode_frame(record, item, now_ns)
            write_frame(folder / FRAMES / f"{path.stem}{SUFFIX}", content, durable=True)
            rank = rank_of(item.gain, len(item.image), now_ns)
            place = f"{FRAMES}/{path.stem}{SUFFIX}"
            connection.execute(INSERT, first_row(record, State.WAITING, now_ns, place, len(content), rank))
    for frame_id, row in answers.items():
        _insert(connection, row, lost.get(frame_id, Reason.DAMAGED))
    _log.warning("%s: %d frames of an older version were taken over", folder, len(answers))
    connection.execute("COMMIT")
    shutil.rmtree(folder / "spool", ignore_errors=True)
    for path in [*folder.glob("journal.db*"), folder / "reserve"]:
        remove(path)
    connection.execute("BEGIN IMMEDIATE")


def _rows(path: Path, sql: str) -> list[tuple[Any, ...]]:
    if not path.is_file():
        return []
    try:
        with closing(sqlite3.connect(path)) as old:
            old.text_factory = readable
            return old.execute(sql).fetchall()
    except (sqlite3.Error, UnicodeDecodeError) as error:
        _log.error("%s cannot be taken over: %s", path, error)
        return []


def _decode(content: bytes, frame_id: str) -> SpoolItem:
    start = len(_OLD_MAGIC) + _OLD_DIGEST_BYTES
    digest = hashlib.blake2b(content[start:], digest_size=_OLD_DIGEST_BYTES).digest()
    if content[:start] != _OLD_MAGIC + digest:
        raise ValueError("checksum is wrong")
    old = msgspec.msgpack.decode(content[start:], type=_Old)
    probabilities = np.frombuffer(old.probabilities, dtype="<f4").astype(np.float32)
    return SpoolItem(frame_id, old.image, probabilities, old.gain, datetime.fromisoformat(old.captured_at), old.source)


def _record(item: SpoolItem, row: tuple[Any, ...] | None, labels: tuple[str, ...]) -> FrameRecord:
    """The device's word on a frame that waits: the journal's, or what the frame's probabilities say."""
    if row is not None and row[6] is not None:
        label, confidence = row[6], row[7]
    elif len(labels) == len(item.probabilities):
        label, confidence = labels[int(item.probabilities.argmax())], float(item.probabilities.max())
    else:
        label, confidence = None, 0.0
    said = Answer(item.frame_id, item.captured_at, item.source, label, confidence, Origin.DEVICE, False, Reason.UNSURE)
    return FrameRecord(said, gain=item.gain, truth=row[4] if row else None, note=row[5] if row else "")


def _is_final(row: tuple[Any, ...]) -> bool:
    return row[12] is not None or bool(row[8])


def _insert(connection: sqlite3.Connection, row: tuple[Any, ...], why_lost: str) -> None:
    frame_id, captured_us, offset_s, source, truth, note, label, confidence, _, reason = row[:10]
    try:
        lost = not _is_final(row)
        why = Reason(why_lost if lost else reason or Reason.UNSURE)
        said = Answer(
            frame_id, moment(captured_us, offset_s), source, label, confidence or 0.0, Origin.DEVICE, True, why
        )
        state = State.ANSWERED if row[12] is not None else State.LOST if lost else State.FINAL
        record = FrameRecord(replace(said, final=state is not State.ANSWERED), truth=truth, note=note)
        if connection.execute(INSERT, first_row(record, state, 0)).rowcount and state is State.ANSWERED:
            connection.execute(
                "UPDATE frames SET cloud_label = ?, cloud_confidence = ? WHERE frame_id = ?", (*row[10:12], frame_id)
            )
    except (ValueError, TypeError, OverflowError) as error:
        _log.error("the answer on %s is damaged and not taken over: %s", frame_id, error)
