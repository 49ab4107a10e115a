"""The two facts of an EXIF block that a frame needs: which way is up, and when the shutter opened."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone, tzinfo

_SIZES = {2: 1, 3: 2, 4: 4, 13: 4}  # text, short, long, offset of a directory
_ORIENTATION, _DATE_TIME, _EXIF_IFD = 0x0112, 0x0132, 0x8769
# (date, fraction of the second, offset from UTC), the moment of capture first.
_DATES = ((0x9003, 0x9291, 0x9011), (0x9004, 0x9292, 0x9012), (_DATE_TIME, 0x9290, 0x9010))
_MAX_ENTRIES = 512

Tags = dict[int, int | bytes]
"""Value by tag: the first integer of an integer field, the bytes of a text field."""


@dataclass(frozen=True, slots=True)
class Exif:
    """What the camera wrote beside the pixels.

    Attributes:
        orientation: 1 to 8, as EXIF numbers them; 1 is upright, and stands for a missing or impossible value too.
        captured_at: when the picture was taken, with a time zone; None where the file does not say.
    """

    orientation: int = 1
    captured_at: datetime | None = None


def read_ifd(block: bytes, *, child: int | None = None) -> Tags:
    """Read the integer and text fields of the first directory of a TIFF structure.

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
        if kind != 2:
            tags[tag] = struct.unpack_from(order + ("H" if kind == 3 else "I"), block, start)[0]
        else:
            tags[tag] = block[start : start + size].split(b"\0")[0].strip()
    return tags


def parse_exif(block: bytes, *, zone: tzinfo | None = None) -> Exif:
    """Read orientation and capture time from an EXIF block.

    The capture time is DateTimeOriginal, else DateTimeDigitized, else DateTime, with its fraction of a second and its
    offset from UTC (EXIF 2.32, section 4.6.5). A time without an offset, as most trail cameras write it, is taken to
    be in `zone`.

    Args:
        block: a TIFF structure, as in `read_ifd`. A damaged block gives what can be read of it.
        zone: the zone of times without an offset; None is the local zone of this machine.
    """
    main, shot = read_ifd(block), read_ifd(block, child=_EXIF_IFD)
    orientation = main.get(_ORIENTATION, 1)
    both = {**shot, **{_DATE_TIME: main.get(_DATE_TIME, b"")}}
    moments = (_moment(both.get(date), both.get(fraction), both.get(offset), zone) for date, fraction, offset in _DATES)
    return Exif(
        orientation=orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else 1,
        captured_at=next((moment for moment in moments if moment is not None), None),
    )


def _moment(date: object, fraction: object, offset: object, zone: tzinfo | None) -> datetime | None:
    if not isinstance(date, bytes):
        return None
    try:
        moment = datetime.strptime(date[:19].decode("ascii"), "%Y:%m:%d %H:%M:%S")
    except ValueError:  # cameras without a set clock write blanks or zeros
        return None
    if isinstance(fraction, bytes) and fraction.isdigit():
        moment += timedelta(seconds=float(b"0." + fraction))
    if isinstance(offset, bytes) and (match := re.fullmatch(rb"([+-])(\d\d):([0-5]\d)", offset)):
        shift = timedelta(hours=int(match[2]), minutes=int(match[3]))
        if shift < timedelta(hours=24):
            return moment.replace(tzinfo=timezone(-shift if match[1] == b"-" else shift))
    try:
        return moment.replace(tzinfo=zone) if zone is not None else moment.astimezone()
    except (OverflowError, OSError, ValueError):  # a year that the platform's local time cannot hold
        return None
