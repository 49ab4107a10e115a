"""Quiet hours: times of the day, in local time, at which nothing is said.

They are compared with what a clock on the wall shows. So they hold through midnight; on the day on which clocks go
forward, quiet hours that begin within the skipped hour begin at its end; on the day on which they go back, the repeated
hour is quiet both times or not at all.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, tzinfo

from edge_sdk.errors import ConfigError

_SPAN = re.compile(r"(\d{1,2}):(\d\d)\s*-\s*(\d{1,2}):(\d\d)", re.ASCII)


@dataclass(frozen=True, slots=True)
class QuietHours:
    """Spans of the day.

    Attributes:
        spans: beginning and end of each; one whose end is earlier than its beginning goes on through midnight.
    """

    spans: tuple[tuple[time, time], ...] = ()

    @classmethod
    def parse(cls, text: str) -> QuietHours:
        """Read "22:00-06:30", or several such, with commas between.

        Raises:
            ConfigError: it is no such text.
        """
        return cls(tuple(_span(part.strip(), text) for part in text.split(",")))

    def holds(self, wall_s: float, zone: tzinfo | None = None) -> bool:
        """Whether the moment lies in one of the spans; their beginning does, their end does not.

        Args:
            wall_s: seconds since 1970.
            zone: time zone of the place; None: this machine's.
        """
        shown = datetime.fromtimestamp(wall_s, UTC).astimezone(zone).time()
        return any(begin <= shown < end if begin < end else shown >= begin or shown < end for begin, end in self.spans)


def _span(part: str, text: str) -> tuple[time, time]:
    match = _SPAN.fullmatch(part)
    numbers = [int(one) for one in match.groups()] if match else []
    if numbers and numbers[2:] == [24, 0]:
        numbers[2] = 0
    try:
        begin, end = time(numbers[0], numbers[1]), time(numbers[2], numbers[3])
    except (IndexError, ValueError):
        begin = end = time()
    if begin == end:
        raise ConfigError(f'expected quiet hours such as "22:00-06:30", from 00:00 to 24:00; got {text!r}')
    return begin, end
