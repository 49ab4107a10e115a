"""Times and texts as cells of a table, and the table: a CSV file."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path


def iso_time(moment: datetime, *, timespec: str = "seconds") -> str:
    """ISO 8601 with offset; in UTC where the offset has seconds, which ISO 8601 does not know."""
    offset = moment.utcoffset() or timedelta(0)
    if offset % timedelta(minutes=1):
        moment = moment.astimezone(UTC)
    return moment.isoformat(timespec=timespec)


@contextmanager
def csv_rows(path: Path, columns: Sequence[str]) -> Iterator[Callable[[Mapping[str, object]], object]]:
    """A new CSV as RFC 4180 has it, with a head line; what is yielded adds a row, empty where it has no value.

    Raises:
        OSError: it cannot be written.
    """
    with path.open("w", encoding="utf-8", newline="") as file:
        # Both characters of the line end are quoted in a cell; of another line end, a lone carriage return is not.
        writer = csv.DictWriter(file, columns, lineterminator="\r\n")
        writer.writeheader()
        yield writer.writerow
