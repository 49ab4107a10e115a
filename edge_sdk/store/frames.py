"""A frame's picture as a file that carries all there is to know of the frame, under checksums.

    8 bytes   "EFRAME1" and a line feed
    12 bytes  length and CRC-32 of the record, CRC-32 of the picture (little-endian)
    ...       the record, MessagePack
    ...       the encoded picture

A lost table is rebuilt from these files. Where only the picture is damaged, the record still tells what the device
said of the frame.
"""

from __future__ import annotations

import logging
import math
import os
import re
import struct
import zlib
from dataclasses import astuple, dataclass
from datetime import datetime
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge_sdk.durable.database import storable
from edge_sdk.durable.files import remove
from edge_sdk.errors import ConfigError
from edge_sdk.store.schema import FrameRecord
from edge_sdk.types import Answer, Origin, Reason, Region

_log = logging.getLogger(__name__)

SUFFIX = ".frame"
PARTIAL = ".partial"  # of a frame that is being written
_FRAME_ID = re.compile(r"[0-9A-Za-z_-]{1,64}", re.ASCII)
_HEAD = struct.Struct("<8sIII")
_MAGIC = b"EFRAME1\n"
_MAX_DAMAGED_FILES = 16
_LEAST_GAIN = 1e-6
_DOUBLING_NS = 86_400_000_000_000


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
        event: id of the event that it stands for; "": for itself alone.
        region: where something moved, in pixels of `image`; None: unknown, or all of it.
        crop: the encoded close-up of what moved, kept beside the picture; it does not travel. Empty: none.
        event_probabilities: `float32 (C,)`, the little model's word on the event; None: it stands for itself alone.
        note: a remark on the frame, as its record has it; of a frame that was read from its file.
        near: the little model looked at a region of it, as its record has it; of a frame that was read from its file.
    """

    frame_id: str
    image: bytes
    probabilities: NDArray[np.float32]
    gain: float
    captured_at: datetime
    source: str
    event: str = ""
    region: Region | None = None
    crop: bytes = b""
    event_probabilities: NDArray[np.float32] | None = None
    note: str = ""
    near: bool = False


class _Stored(msgspec.Struct, array_like=True, frozen=True):
    """A frame's record as it stands in its file."""

    frame_id: str
    captured_at: str
    handled_ns: int
    source: str
    label: str | None
    confidence: float
    final: bool
    reason: str
    gain: float
    probabilities: bytes
    model: str
    top_k: tuple[tuple[str, float], ...]
    trigger: str
    event: str
    truth: str | None
    audit: bool
    note: str
    region: tuple[int, int, int, int, float, bool] | None = None
    audit_chance: float | None = None
    sent_region: tuple[int, int, int, int, float, bool] | None = None
    sent_event: str = ""
    crop: bytes = b""
    level: str = ""
    event_probabilities: bytes = b""
    frame_size: tuple[int, int] | None = None
    event_class: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class StoredFrame:
    """What a frame's file holds.

    Attributes:
        record: the device's word on the frame.
        item: the frame as it waits; None where the picture is damaged.
        handled_ns: when the device handled it, on the store's clock.
    """

    record: FrameRecord
    item: SpoolItem | None
    handled_ns: int


STEP_BACK = 5.0
"""How far a frame steps back for each try that failed: it counts a 32nd of what it did, or as five days younger."""


def rank_of(gain: float, size: int, handled_ns: int) -> float:
    """A frame's place in the spool: the highest leaves first, the lowest is dropped first.

    The order is that of gain per byte, and with each day of waiting a frame counts twice as much, so that none waits
    for ever. On a logarithmic scale waiting adds the same to all, so the rank does not change with time.
    """
    return math.log2(max(gain, _LEAST_GAIN) / max(1, size)) - handled_ns / _DOUBLING_NS


def provisional(item: SpoolItem) -> FrameRecord:
    """The record of a frame of which nothing is known but what travels."""
    said = Answer(item.frame_id, item.captured_at, item.source, None, 0.0, Origin.DEVICE, False, Reason.UNSURE)
    return FrameRecord(said, gain=float(item.gain))


def check_item(item: SpoolItem) -> None:
    """Refuse what cannot be stored.

    Raises:
        ConfigError: the id, gain or capture time is no such thing.
    """
    if not _FRAME_ID.fullmatch(item.frame_id):
        raise ConfigError(f'expected a frame id of 1 to 64 letters, digits, "-" or "_"; got {item.frame_id!r}')
    if not math.isfinite(item.gain):
        raise ConfigError(f"expected a gain that is a finite number; got {item.gain}")
    if item.captured_at.tzinfo is None:
        raise ConfigError(f"expected captured_at with a time zone; got the naive {item.captured_at.isoformat()}")


def encode_frame(record: FrameRecord, item: SpoolItem, handled_ns: int) -> bytes:
    """The content of the frame's file."""
    answer = record.answer
    stored = _Stored(
        frame_id=item.frame_id,
        captured_at=item.captured_at.isoformat(),
        handled_ns=handled_ns,
        source=storable(item.source),
        label=answer.label,
        confidence=float(answer.confidence),
        final=answer.final,
        reason=answer.reason.value,
        gain=float(item.gain),
        probabilities=_as_bytes(item.probabilities),
        model=record.model,
        top_k=record.top_k,
        trigger=storable(record.trigger),
        event=record.event,
        truth=None if record.truth is None else storable(record.truth),
        audit=record.audit,
        note=storable(record.note),
        region=None if record.region is None else astuple(record.region),
        audit_chance=record.audit_chance,
        sent_region=None if item.region is None else astuple(item.region),
        sent_event=item.event,
        crop=item.crop,
        level=answer.level,
        event_probabilities=b"" if item.event_probabilities is None else _as_bytes(item.event_probabilities),
        frame_size=record.frame_size,
        event_class=record.event_class,
    )
    body = msgspec.msgpack.encode(stored)
    return _HEAD.pack(_MAGIC, len(body), zlib.crc32(body), zlib.crc32(item.image)) + body + item.image


def decode_frame(content: bytes, frame_id: str) -> StoredFrame:
    """What the file of `frame_id` holds.

    Raises:
        ValueError: its record is damaged.
    """
    if len(content) < _HEAD.size:
        raise ValueError(f"holds {len(content)} bytes")
    magic, length, body_crc, image_crc = _HEAD.unpack_from(content)
    body = content[_HEAD.size : _HEAD.size + length]
    if magic != _MAGIC or zlib.crc32(body) != body_crc:
        raise ValueError(f"checksum of {len(content)} bytes is wrong")
    stored = msgspec.msgpack.decode(body, type=_Stored)
    if stored.frame_id != frame_id:
        raise ValueError(f"holds frame {stored.frame_id}")
    captured_at, image = datetime.fromisoformat(stored.captured_at), content[_HEAD.size + length :]
    answer = Answer(
        frame_id,
        captured_at,
        stored.source,
        stored.label,
        stored.confidence,
        Origin.DEVICE,
        stored.final,
        Reason(stored.reason),
        stored.level,
    )
    record = FrameRecord(
        answer,
        stored.model,
        stored.top_k,
        stored.gain,
        stored.trigger,
        stored.event,
        stored.truth,
        stored.audit,
        stored.note,
        None if stored.region is None else Region(*stored.region),
        stored.audit_chance,
        stored.frame_size,
        stored.event_class,
    )
    item = SpoolItem(
        frame_id,
        image,
        _as_array(stored.probabilities),
        stored.gain,
        captured_at,
        stored.source,
        stored.sent_event,
        None if stored.sent_region is None else Region(*stored.sent_region),
        stored.crop,
        _as_array(stored.event_probabilities) if stored.event_probabilities else None,
        stored.note,
        stored.region is not None,
    )
    return StoredFrame(record, item if zlib.crc32(image) == image_crc else None, stored.handled_ns)


def _as_bytes(probabilities: NDArray[np.float32]) -> bytes:
    return np.ascontiguousarray(probabilities, dtype="<f4").tobytes()


def _as_array(content: bytes) -> NDArray[np.float32]:
    return np.frombuffer(content, dtype="<f4").astype(np.float32)


def write_frame(path: Path, content: bytes, *, durable: bool) -> None:
    """Write a new file; with `durable` it is on the disk when this returns.

    The file gets its name when it is whole, so a killed program leaves none that is cut short. One sync after that: on
    the file systems in use (ext4, XFS, Btrfs, F2FS) that of a new file makes its name durable too. A power cut before
    it may leave a file with a wrong checksum, which was not promised to anybody.

    Raises:
        OSError: it cannot be written, and is not there.
    """
    partial = path.with_suffix(PARTIAL)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    try:
        try:
            view = memoryview(content)
            while view:
                view = view[os.write(descriptor, view) :]
            partial.replace(path)
            if durable:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError:
        remove(partial)
        remove(path)
        raise


def put_aside(path: Path, folder: Path, error: object) -> None:
    """Move a damaged file to `folder` for inspection; the newest 16 are kept there."""
    _log.error("spool: %s is damaged (%s), moved to %s", path.name, error, folder)
    try:
        os.replace(path, folder / path.name)
        files = sorted(folder.iterdir(), key=lambda file: file.stat().st_mtime, reverse=True)
        for file in files[_MAX_DAMAGED_FILES:]:
            file.unlink(missing_ok=True)
    except OSError as failure:
        _log.error("spool: cannot move %s: %s", path.name, failure)
