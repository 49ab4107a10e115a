"""The two facts of an EXIF block that a frame needs: which way is up, and when the shutter opened."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo

from edge_sdk.images.capture_time import (
    EARLIEST,
    CaptureTime,
    capture_time,
    parse_date,
    parse_fraction,
    parse_offset,
)

_TEXTS = frozenset({2, 7, 129})  # ASCII, undefined, UTF-8 (EXIF 3.0)
_INTEGERS = {3: "H", 4: "I", 8: "h", 9: "i", 13: "I"}  # 8 and 9 are signed, 13 is the offset of a directory
_RATIONAL = 5
_SIZES = {**dict.fromkeys(_TEXTS, 1), 3: 2, 8: 2, 4: 4, 9: 4, 13: 4, _RATIONAL: 8}
_ORIENTATION, _DATE_TIME, _EXIF_IFD, _GPS_IFD = 0x0112, 0x0132, 0x8769, 0x8825
_GPS_TIME, _GPS_DATE = 0x07, 0x1D
# (date, fraction of the second, offsets from UTC: its own first), the moment of capture first.
_DATES = (
    (0x9003, 0x9291, (0x9011, 0x9012, 0x9010)),
    (0x9004, 0x9292, (0x9012, 0x9011, 0x9010)),
    (_DATE_TIME, 0x9290, (0x9010,)),
)
_HOURS = 0x882A
"""TimeZoneOffset of TIFF/EP: whole hours, of the moment of capture."""
_MAX_ENTRIES = 512
_MAX_RATIONALS = 16

Tags = dict[int, int | bytes | tuple[float, ...]]
"""Value by tag: the first integer of an integer field, the bytes of a text field, the numbers of a rational field."""


@dataclass(frozen=True, slots=True)
class Exif:
    """What the camera wrote beside the pixels.

    Attributes:
        orientation: 1 to 8, as EXIF numbers them; 1 is upright, and stands for a missing or impossible value too.
        captured: when the picture was taken; None where the file does not say.
        unset: the file has dates, and all are those of a clock that nobody set: zeros, blanks, years before 1990.
    """

    orientation: int = 1
    captured: CaptureTime | None = None
    unset: bool = False

    @property
    def captured_at(self) -> datetime | None:
        """When the picture was taken, with a time zone; None where the file does not say."""
        return None if self.captured is None else self.captured.at


def read_ifd(block: bytes, *, child: int | None = None) -> Tags:
    """Read the integer, text and rational fields of the first directory of a TIFF structure.

    Args:
        block: starts with the TIFF header, whose first two bytes give the byte order.
        child: the tag of a sub-directory to read in its place.

    Returns:
        The fields that lie within the block; fields (or all) that a damaged block cuts off are left out.
    """
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(block[:4])
    if order is None or len(block) < 8:
        return {}
    tags = _read_directory(block, order, struct.unpack_from(order + "I", block, 4)[0])
    if child is None:
        return tags
    offset = tags.get(child)
    return _read_directory(block, order, offset) if isinstance(offset, int) else {}


def _read_directory(block: bytes, order: str, offset: int) -> Tags:
    tags: Tags = {}
    if offset + 2 > len(block):
        return tags
    (count,) = struct.unpack_from(order + "H", block, offset)
    for index in range(min(count, _MAX_ENTRIES)):
        entry = offset + 2 + 12 * index
        if entry + 12 > len(block):
            break
        tag, kind, items = struct.unpack_from(order + "HHI", block, entry)
        size = _SIZES.get(kind, 0) * items
        start = entry + 8 if size <= 4 else struct.unpack_from(order + "I", block, entry + 8)[0]
        if size == 0 or start + size > len(block):
            continue
        if kind in _INTEGERS:
            tags[tag] = struct.unpack_from(order + _INTEGERS[kind], block, start)[0]
        elif kind in _TEXTS:
            tags[tag] = block[start : start + size].split(b"\0")[0].strip()
        elif items <= _MAX_RATIONALS:
            parts = struct.unpack_from(f"{order}{2 * items}I", block, start)
            tags[tag] = tuple(top / (bottom or 1) for top, bottom in zip(parts[::2], parts[1::2], strict=True))
    return tags


def parse_exif(block: bytes, *, zone: tzinfo | None = None) -> Exif:
    """Read orientation and capture time from an EXIF block.

    The capture time is DateTimeOriginal, else DateTimeDigitized, else DateTime, with its fraction of a second and its
    offset from UTC (EXIF 2.32, section 4.6.5), else the time of GPS. A time without an offset, as most trail cameras
    write it, is taken to be in `zone`. A year before 1990 is that of a clock that nobody set, and no time.

    Args:
        block: a TIFF structure, as in `read_ifd`. A damaged block gives what can be read of it.
        zone: the zone of times without an offset; None is the local zone of this machine.
    """
    main, shot = read_ifd(block), read_ifd(block, child=_EXIF_IFD)
    orientation = main.get(_ORIENTATION, 1)
    both = {**main, **shot}
    if _DATE_TIME in main:
        both[_DATE_TIME] = main[_DATE_TIME]
    captured = next((time for dates in _DATES if (time := _time(both, *dates, zone=zone)) is not None), None)
    captured = captured or _gps_time(read_ifd(block, child=_GPS_IFD))
    return Exif(
        orientation=orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else 1,
        captured=captured,
        unset=captured is None and any(date in both for date, _, _ in _DATES),
    )


def _time(tags: Tags, date: int, fraction: int, offsets: tuple[int, ...], *, zone: tzinfo | None) -> CaptureTime | None:
    parsed = parse_date(_text(tags, date))
    if parsed is None:
        return None
    clock, own = parsed
    if (part := _text(tags, fraction)) and not clock.microsecond:
        clock += timedelta(microseconds=parse_fraction(part))
    offset = own or next((read for tag in offsets if (read := parse_offset(_text(tags, tag))) is not None), None)
    hours = tags.get(_HOURS)
    if offset is None and isinstance(hours, int) and -12 <= hours <= 14:
        offset = timezone(timedelta(hours=hours))
    time = capture_time(clock, zone if offset is None else offset)
    return time if time is not None and time.at >= EARLIEST else None


def _gps_time(tags: Tags) -> CaptureTime | None:
    """The time of the satellites, UTC: some cameras write it though nobody set their clock."""
    parsed, numbers = parse_date(_text(tags, _GPS_DATE) + " 00:00:00"), tags.get(_GPS_TIME)
    if parsed is None or not isinstance(numbers, tuple) or len(numbers) != 3 or numbers[0] >= 24 or max(numbers) >= 61:
        return None
    hours, minutes, seconds = numbers
    moment = parsed[0].replace(tzinfo=UTC) + timedelta(hours=hours, minutes=minutes, seconds=seconds)
    return CaptureTime(moment) if moment >= EARLIEST else None


def _text(tags: Tags, tag: int) -> str:
    value = tags.get(tag, b"")
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else ""
