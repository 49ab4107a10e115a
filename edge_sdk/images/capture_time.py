"""When a picture was taken: the texts that cameras and editors write, and a camera's clock time into a moment."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

from edge_sdk.errors import ConfigError

EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
"""No digital camera is older: an earlier date is that of a clock that nobody set."""

_DATE = re.compile(
    r"\s*(\d{4})\s*[:/.\-]?\s*(\d{1,2})\s*[:/.\-]?\s*(\d{1,2})(?:\s+|T|:|-)\s*"
    r"(\d{1,2})\s*[:.]\s*(\d{1,2})(?:\s*[:.]\s*(\d{1,2})(?:[.,](\d+))?)?\s*(\S*)",
    re.ASCII,
)
_COMPACT = re.compile(r"\s*(\d{4})(\d\d)(\d\d)[T _-]?(\d\d)(\d\d)(\d\d)(?:[.,](\d+))?\s*(\S*)", re.ASCII)
_OFFSET = re.compile(r"(?:UTC|GMT)?\s*([+\-\u2212]?)\s*(\d{1,2})(?::?([0-5]\d))?(?::?[0-5]\d)?", re.ASCII)
_LONGEST_OFFSET = timedelta(hours=16)
_JITTER = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class CaptureTime:
    """What a camera's clock showed, as a moment.

    Attributes:
        at: the moment, with a fixed offset from UTC.
        again_at: the moment an hour later at which the clock showed the same, on the night that ends summer time;
            else None.
        skipped: no clock that knows summer time showed this: it lies in the hour that the zone leaves out.
    """

    at: datetime
    again_at: datetime | None = None
    skipped: bool = False

    def after(self, before: datetime | None) -> datetime:
        """The moment, given that of the picture before in the camera's own order.

        In the hour that a clock shows twice, it is the second reading where the first would go back in time.
        """
        if before is None or self.again_at is None or self.at >= before - _JITTER or self.again_at < before - _JITTER:
            return self.at
        return self.again_at


def parse_date(text: str) -> tuple[datetime, timezone | None] | None:
    """Read a date and time of EXIF, XMP or a file's name, with the offset that may stand behind it.

    Colons, hyphens, slashes, dots or nothing may stand between the numbers of the date, blanks in place of zeros, a
    fraction behind the second; 24:00 is the end of the day.

    Returns:
        The clock's time without a zone, and its offset from UTC or None; None where the text is no date, such as zeros.
    """
    match = _DATE.match(text) or _COMPACT.match(text)
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
    if hour > 24 or minute > 59 or second > 60:
        return None
    try:
        midnight = datetime(year, month, day)
        clock = midnight + timedelta(
            hours=hour, minutes=minute, seconds=second, microseconds=parse_fraction(match[7] or "")
        )
    except (ValueError, OverflowError):
        return None
    return clock, parse_offset(match[8])


def parse_fraction(text: str) -> int:
    """Microseconds of a fraction of a second, such as "25" or ".250"; 0 where the text is none."""
    digits = text.strip().removeprefix("0.").removeprefix(".")
    return int(digits[:6].ljust(6, "0")) if digits.isascii() and digits.isdecimal() else 0


def parse_offset(text: str) -> timezone | None:
    """Read an offset from UTC, such as "+02:00", "+0200", "-3", "Z" or "UTC+2"; None where the text is none."""
    text = text.strip().upper()
    if text in ("Z", "UTC", "GMT"):
        return UTC
    match = _OFFSET.fullmatch(text)
    if match is None or not (match[1] or match[3]):
        return None
    offset = timedelta(hours=int(match[2]), minutes=int(match[3] or 0))
    if offset >= _LONGEST_OFFSET:
        return None
    return timezone(-offset if match[1] in ("-", "\u2212") else offset)


def parse_zone(text: str) -> tzinfo | None:
    """Read a time zone: a name such as "Europe/Berlin", an offset such as "+01:00", or "local" for this machine's.

    Raises:
        ConfigError: there is no such zone.
    """
    if text.strip().lower() == "local":
        return None
    if (offset := parse_offset(text)) is not None:
        return offset
    try:
        return ZoneInfo(text)
    except (LookupError, ValueError, OSError):
        raise ConfigError(
            f'expected zone as a name such as Europe/Berlin, an offset such as +01:00, or "local"; got {text!r} '
            "(names need the system's time zones: on Debian the package tzdata)"
        ) from None


def capture_time(clock: datetime, zone: tzinfo | None) -> CaptureTime | None:
    """The moment at which clocks of a zone show this time.

    The order of times is kept. The hour that a zone leaves out in spring lies, microseconds long, right before the
    moment of the change: a camera that knows no summer time shows it, and its next pictures are read by the new offset.

    Args:
        clock: the clock's time, without a zone.
        zone: where the clock is; None: the zone of this machine.

    Returns:
        None where the calendar of this machine does not reach so far.
    """
    try:
        first, second = (_moment(clock, zone, fold) for fold in (0, 1))
        before, after = _offset(clock, first), _offset(clock, second)
        if first == second:
            return CaptureTime(first.astimezone(timezone(before)))
        if first < second:
            return CaptureTime(first.astimezone(timezone(before)), second.astimezone(timezone(after)))
        change = _change(second, first, zone, before)
        left = change + after - clock.replace(tzinfo=UTC)  # until the end of the hour that is left out
        return CaptureTime((change - left / 1_000_000).astimezone(timezone(before)), skipped=True)
    except (OverflowError, OSError, ValueError):
        return None


def is_plausible(moment: datetime, now: datetime) -> bool:
    """Whether a picture can have been taken then: not before there were digital cameras, nor after tomorrow."""
    return EARLIEST <= moment <= now + timedelta(days=1)


def _moment(clock: datetime, zone: tzinfo | None, fold: int) -> datetime:
    shown = clock.replace(fold=fold, microsecond=0)
    # In the hour that is left out, `astimezone` of a naive time takes the one offset for the other.
    moment = datetime.fromtimestamp(shown.timestamp() if zone is None else shown.replace(tzinfo=zone).timestamp(), UTC)
    return moment + timedelta(microseconds=clock.microsecond)


def _offset(clock: datetime, moment: datetime) -> timedelta:
    return clock.replace(tzinfo=UTC) - moment


def _change(low: datetime, high: datetime, zone: tzinfo | None, before: timedelta) -> datetime:
    """The second between two moments from which on the zone's offset is no longer `before`."""
    low = low.replace(microsecond=0)
    while high - low > timedelta(seconds=1):
        middle = low + timedelta(seconds=(high - low) // timedelta(seconds=2))
        local = middle.astimezone() if zone is None else middle.astimezone(zone)
        if local.utcoffset() == before:
            low = middle
        else:
            high = middle
    return high.replace(microsecond=0)
