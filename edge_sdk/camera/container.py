"""What a video file says of itself beside its pictures: its kind, and when it was recorded."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import BinaryIO, Literal

from edge_sdk.images.capture_time import capture_time, is_plausible, parse_date
from edge_sdk.images.frame import latest

_MAX_PARTS = 10_000
_MAX_TEXT = 256
_MAX_INDEX_BYTES = 64 << 20
_BOXES = frozenset({b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot"})
_1904 = 2_082_844_800  # seconds from 1904 to 1970
_2001 = datetime(2001, 1, 1, tzinfo=UTC)
_SEGMENT, _INFO, _DATE, _TAGS = 0x18538067, 0x1549A966, 0x4461, 0x1254C367
_SCALE, _CLUSTER, _TIME = 0x2AD7B1, 0x1F43B675, 0xE7
_TAG, _SIMPLE_TAG, _NAME, _TEXT = 0x7373, 0x67C8, 0x45A3, 0x4487
_RECORDED = (b"DATE_RECORDED", b"CREATION_TIME", b"DATE_DIGITIZED")
_APPLE = b"com.apple.quicktime.creationdate"

Kind = Literal["mp4", "matroska", "avi", "other"]


@dataclass(frozen=True, slots=True)
class Container:
    """A video file's container.

    Attributes:
        kind: `mp4` stands for MOV and 3GP too, `matroska` for WebM.
        created_at: when the recording began, with a time zone; None where the file does not say or cannot be right.
        has_index: False: an MP4 whose index is missing, so that nothing of it can be decoded.
    """

    kind: Kind = "other"
    created_at: datetime | None = None
    has_index: bool = True


def read_container(path: Path, zone: tzinfo | None = None, clock_offset: timedelta = timedelta(0)) -> Container:
    """Read what a video file says of itself. A damaged file gives what can be read of it.

    Args:
        path: the file.
        zone: where times without an offset from UTC were taken; None: the zone of this machine.
        clock_offset: what is added to the time of the recorder's clock.

    Raises:
        OSError: the file cannot be read.
    """
    with open(path, "rb") as file:
        head, size = file.read(12), os.fstat(file.fileno()).st_size
        try:
            if head[4:8] in _BOXES:
                found, has_index = _mp4(file, size, zone)
                return Container("mp4", _plausible(found, clock_offset), has_index)
            if head[:4] == b"\x1a\x45\xdf\xa3":
                return Container("matroska", _plausible(_matroska(file, size, zone), clock_offset))
            if head[:4] == b"RIFF" and head[8:12] in (b"AVI ", b"AVIX"):
                return Container("avi", _plausible(_avi(file, size, zone), clock_offset))
        except (struct.error, ValueError, OverflowError):
            pass
    return Container()


def _plausible(found: datetime | None, clock_offset: timedelta) -> datetime | None:
    if found is None:
        return None
    moment = found + clock_offset
    return moment if is_plausible(moment, latest(datetime.now(UTC))) else None


def _from_text(text: bytes, zone: tzinfo | None) -> datetime | None:
    plain = text[:_MAX_TEXT].decode("utf-8", "replace").strip("\0 \n\r")
    read = parse_date(plain)
    if read is None:
        try:
            read = datetime.strptime(plain, "%a %b %d %H:%M:%S %Y"), None  # as C's asctime writes it
        except ValueError:
            return None
    clock, offset = read
    moment = capture_time(clock, offset or zone)
    return None if moment is None else moment.at


def _mp4(file: BinaryIO, size: int, zone: tzinfo | None) -> tuple[datetime | None, bool]:
    header = said = day = None
    has_index = False
    for kind, start, end in _boxes(file, 0, size):
        has_index = has_index or kind in (b"moov", b"moof")
        if kind != b"moov":
            continue
        for inner, first, last in _boxes(file, start, end):
            if inner == b"mvhd":
                header = _movie_header(_read(file, first, first + 12))
            elif inner == b"meta":
                said = _apple_date(file, first, last) or said
            elif inner == b"udta":
                for part, at, stop in _boxes(file, first, last):
                    if part == b"\xa9day":
                        day = _read(file, at + 4, stop)  # behind its length and language
                    elif part == b"meta":
                        said = _apple_date(file, at, stop) or said
    texts = (_from_text(text, zone) for text in (said, day) if text is not None)
    written = [moment for moment in texts if moment is not None]
    return (written[0] if said and written else header or next(iter(written), None)), has_index


def _movie_header(body: bytes) -> datetime | None:
    seconds = struct.unpack_from(">Q" if body[0] else ">I", body, 4)[0]
    # By the standard since 1904; some cameras write Unix time.
    return datetime.fromtimestamp(seconds - _1904 if seconds >= _1904 else seconds, UTC) if seconds else None


def _apple_date(file: BinaryIO, start: int, end: int) -> bytes | None:
    if _read(file, start + 4, start + 8) != b"hdlr":  # ISO's form has a version before its boxes
        start += 4
    index = 0
    for kind, first, last in _boxes(file, start, end):
        if kind == b"keys":
            at = first + 8
            for number in range(1, min(_MAX_PARTS, int.from_bytes(_read(file, first + 4, at), "big")) + 1):
                length = int.from_bytes(_read(file, at, at + 4), "big")
                if _read(file, at + 8, min(at + length, at + 8 + _MAX_TEXT)) == _APPLE:
                    index = number
                at += max(8, length)
        elif kind == b"ilst" and index:
            for item, at, _ in _boxes(file, first, last):
                if item == index.to_bytes(4, "big"):
                    length = int.from_bytes(_read(file, at, at + 4), "big")
                    return _read(file, at + 16, at + length)
    return None


def _boxes(file: BinaryIO, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start and end of the body of each box; the last may reach beyond the file's end."""
    for _ in range(_MAX_PARTS):
        if start + 8 > end:
            return
        length, kind = struct.unpack(">I4s", _read(file, start, start + 8))
        body = start + 8
        if length == 1:
            length, body = int.from_bytes(_read(file, body, body + 8), "big"), body + 8
        stop = end if length == 0 else start + length
        if stop < body:
            return
        yield kind, body, min(stop, end)
        start = stop


def _matroska(file: BinaryIO, size: int, zone: tzinfo | None) -> datetime | None:
    said = None
    for kind, start, end in _elements(file, 0, size):
        if kind != _SEGMENT:
            continue
        for inner, first, last in _elements(file, start, end):
            if inner == _INFO:
                for part, at, stop in _elements(file, first, last):
                    if part == _DATE and stop - at == 8:
                        (passed_ns,) = struct.unpack(">q", _read(file, at, stop))
                        return _2001 + timedelta(microseconds=passed_ns / 1000)
            elif inner == _TAGS and said is None:
                said = _matroska_tag(file, first, last, zone)
    return said


def matroska_start_s(path: str) -> float:
    """The time of the first pictures of a Matroska file; in a later piece of a recording that since its start.

    The length that the file tells counts to its end from there, and OpenCV tells the time of frames without it.

    Returns:
        Seconds from 0; 0 where the file does not say.

    Raises:
        OSError: the file cannot be read.
    """
    ns_per_step = 1_000_000
    with open(path, "rb") as file:
        for kind, start, end in _elements(file, 0, os.fstat(file.fileno()).st_size):
            for inner, first, last in _elements(file, start, end) if kind == _SEGMENT else ():
                if inner not in (_INFO, _CLUSTER):
                    continue
                for part, at, stop in _elements(file, first, last):
                    if part == _SCALE and stop - at <= 8:
                        ns_per_step = int.from_bytes(_read(file, at, stop), "big")
                    elif inner == _CLUSTER and part == _TIME and stop - at <= 8:
                        return int.from_bytes(_read(file, at, stop), "big") * ns_per_step / 1e9
    return 0.0


def _matroska_tag(file: BinaryIO, start: int, end: int, zone: tzinfo | None) -> datetime | None:
    for tag, first, last in _elements(file, start, end):
        for simple, at, stop in _elements(file, first, last) if tag == _TAG else ():
            if simple == _SIMPLE_TAG:
                fields = {
                    part: _read(file, one, min(other, one + _MAX_TEXT))
                    for part, one, other in _elements(file, at, stop)
                }
                if fields.get(_NAME, b"").upper() in _RECORDED and (found := _from_text(fields.get(_TEXT, b""), zone)):
                    return found
    return None


def _elements(file: BinaryIO, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Id, start and end of the body of each EBML element; one of unknown length reaches to the end."""
    for _ in range(_MAX_PARTS):
        if start + 2 > end:
            return
        head = _read(file, start, start + 12)
        if not head or not head[0]:
            return
        id_size = 9 - head[0].bit_length()
        first = head[id_size] if id_size < len(head) else 0
        if id_size > 4 or not first:
            return
        length_size = 9 - first.bit_length()
        raw = int.from_bytes(head[id_size : id_size + length_size], "big") & ((1 << 7 * length_size) - 1)
        body = start + id_size + length_size
        stop = end if raw == (1 << 7 * length_size) - 1 else body + raw
        yield int.from_bytes(head[:id_size], "big"), body, min(stop, end)
        start = stop


def _avi(file: BinaryIO, size: int, zone: tzinfo | None) -> datetime | None:
    found: dict[bytes, datetime | None] = {}
    for kind, body in _riff(file, 12, size):
        parts = _riff(file, *body) if kind in (b"hdrl", b"INFO") else iter([(kind, body)])
        for inner, at in parts:
            if inner in (b"IDIT", b"ICRD"):
                found.setdefault(inner, _from_text(_read(file, *at), zone))
    return found.get(b"IDIT") or found.get(b"ICRD")


def avi_damage(path: str, *, sample: int | None = None) -> list[tuple[float, float]]:
    """The stretches of an AVI in which chunks of pictures are not where its index says: start and length in seconds.

    FFmpeg times the frames of an AVI by counting, so those behind such a stretch come too early.

    Args:
        path: the file.
        sample: look at so many chunks first, and at all where one of them is not there; None: at all.
    """
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        parts = dict(_riff(file, 12, size))
        movie, index = (parts.get(kind) for kind in (b"movi", b"idx1"))
        stream, step_s = _avi_pictures(file, *parts.get(b"hdrl", (0, 0)))
        if movie is None or index is None or step_s is None:
            return []
        file.seek(index[0])
        table = file.read(min(index[1] - index[0], _MAX_INDEX_BYTES))
        entries = [
            entry for entry in struct.iter_unpack("<4sIII", table[: len(table) // 16 * 16]) if entry[0][:2] == stream
        ]
        base = movie[0] - 4 if entries and entries[0][2] < movie[0] else 0
        every = 1 if sample is None else -(-len(entries) // sample)
        if every > 1 and all(_is_there(file, base, entry) for entry in entries[::every]):
            return []
        found: list[tuple[float, float]] = []
        for number, entry in enumerate(entries):
            if _is_there(file, base, entry):
                continue
            at_s = number * step_s
            if found and at_s - sum(found[-1]) < step_s / 2:
                found[-1] = found[-1][0], found[-1][1] + step_s
            else:
                found.append((at_s, step_s))
        return found


def _is_there(file: BinaryIO, base: int, entry: tuple[bytes, int, int, int]) -> bool:
    kind, _, offset, length = entry
    return _read(file, base + offset, base + offset + 8) == kind + struct.pack("<I", length)


def _riff(file: BinaryIO, start: int, end: int) -> Iterator[tuple[bytes, tuple[int, int]]]:
    """Kind, and start and end of the body, of each chunk; a list goes by its own kind."""
    for _ in range(_MAX_PARTS):
        if start + 8 > end:
            return
        kind, length = struct.unpack("<4sI", _read(file, start, start + 8))
        body = start + 8
        if kind == b"LIST":
            yield _read(file, body, body + 4), (body + 4, min(end, body + length))
        else:
            yield kind, (body, min(end, body + length))
        start = body + length + (length & 1)


def _avi_pictures(file: BinaryIO, start: int, end: int) -> tuple[bytes, float | None]:
    """The number of the stream of pictures as its chunks have it, and seconds from one to the next."""
    streams = [body for kind, body in _riff(file, start, end) if kind == b"strl"]
    for number, body in enumerate(streams):
        header = next((_read(file, *part) for kind, part in _riff(file, *body) if kind == b"strh"), b"")
        if header[:4] == b"vids" and len(header) >= 28:
            scale, rate = struct.unpack_from("<II", header, 20)
            return b"%02d" % number, scale / rate if scale and rate else None
    return b"", None


def _read(file: BinaryIO, start: int, end: int) -> bytes:
    file.seek(start)
    return file.read(min(end - start, 4096)) if end > start else b""
