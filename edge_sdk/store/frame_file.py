"""A waiting frame as a file: all there is to know of it, under a checksum; written whole or not at all."""

from __future__ import annotations

import hashlib
import logging
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge_sdk.durable.database import storable, sync_folder

_log = logging.getLogger(__name__)

_MAGIC = b"ESPOOL1\n"
_DIGEST_BYTES = 16
_MAX_DAMAGED_FILES = 16


@dataclass(frozen=True, slots=True, eq=False)
class SpoolItem:
    """A frame that waits for the cloud.

    Attributes:
        frame_id: the frame's id: 1 to 64 letters, digits, "-" or "_".
        image: the encoded picture, as it goes over the wire.
        probabilities: `float32 (C,)`, the little model's.
        gain: expected rise in correctness if the big model answers; a number, the higher the more urgent.
        captured_at: the frame's capture time, with a time zone.
        source: the frame's source.
    """

    frame_id: str
    image: bytes
    probabilities: NDArray[np.float32]
    gain: float
    captured_at: datetime
    source: str


class _Stored(msgspec.Struct, array_like=True, frozen=True):
    """A `SpoolItem` as it stands in a file."""

    frame_id: str
    captured_at: str
    source: str
    gain: float
    probabilities: bytes
    image: bytes


def encode_item(item: SpoolItem) -> bytes:
    """The content of the item's file: magic, checksum of the rest, MessagePack."""
    stored = _Stored(
        frame_id=item.frame_id,
        captured_at=item.captured_at.isoformat(),
        source=storable(item.source),
        gain=float(item.gain),
        probabilities=np.ascontiguousarray(item.probabilities, dtype="<f4").tobytes(),
        image=item.image,
    )
    body = msgspec.msgpack.encode(stored)
    return _MAGIC + hashlib.blake2b(body, digest_size=_DIGEST_BYTES).digest() + body


def decode_item(content: bytes, frame_id: str) -> SpoolItem:
    """The item in the content of the file of `frame_id`.

    Raises:
        ValueError: it is damaged.
    """
    start = len(_MAGIC) + _DIGEST_BYTES
    body = content[start:]
    digest = hashlib.blake2b(body, digest_size=_DIGEST_BYTES).digest()
    if content[:start] != _MAGIC + digest:
        raise ValueError(f"checksum of {len(content)} bytes is wrong")
    stored = msgspec.msgpack.decode(body, type=_Stored)
    if stored.frame_id != frame_id:
        raise ValueError(f"holds frame {stored.frame_id}")
    return SpoolItem(
        frame_id=stored.frame_id,
        image=stored.image,
        probabilities=np.frombuffer(stored.probabilities, dtype="<f4").astype(np.float32),
        gain=stored.gain,
        captured_at=datetime.fromisoformat(stored.captured_at),
        source=stored.source,
    )


def put_aside(path: Path, folder: Path, error: Exception) -> None:
    """Move a damaged file to `folder` for inspection; the newest 16 are kept there."""
    _log.error("spool: %s is damaged (%s), moved to %s", path.name, error, folder)
    try:
        os.replace(path, folder / path.name)
        kept = sorted(folder.iterdir(), key=lambda file: file.stat().st_mtime, reverse=True)
        for file in kept[_MAX_DAMAGED_FILES:]:
            file.unlink(missing_ok=True)
    except OSError as failure:
        _log.error("spool: cannot move %s: %s", path.name, failure)


def remove(path: Path) -> None:
    """Delete a file; one that cannot be deleted now goes at the next start."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        _log.error("spool: cannot remove %s: %s", path, error)


def write_durably(path: Path, content: bytes) -> None:
    """Write a file so that after any crash it is either there in full under its name or not there."""
    temporary = path.with_suffix(".tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError:
        remove(temporary)
        raise
    sync_folder(path.parent)
