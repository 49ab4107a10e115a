"""Observations from a CSV: which class was seen in which month, and where.

The file has a header line, and commas, semicolons or tabs between its cells. Columns are found by the names that
exports of this SDK, GBIF's downloads and Camtrap DP give them.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from edge_sdk.errors import ConfigError, WorkbenchError
from edge_sdk.model.priors import MONTHS, Place

_NAMES = {
    "label": ("label", "species", "scientificname", "scientific_name", "class"),
    "month": ("month",),
    "date": ("date", "captured_at", "eventdate", "eventstart", "timestamp"),
    "latitude": ("latitude", "decimallatitude", "lat"),
    "longitude": ("longitude", "decimallongitude", "lon"),
    "region": ("region", "countrycode", "deployment", "locationid"),
}
_MONTH = re.compile(r"\s*\d{4}[-:/.](\d{1,2})(?!\d)", re.ASCII)
_YEAR = re.compile(r"\s*\d{4}\s*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Observation:
    """One line.

    Attributes:
        label: what was seen.
        month: 1 to 12; None: not known.
        place: where, by latitude and longitude; None: not known.
        region: where, by name; "": not known.
    """

    label: str
    month: int | None
    place: Place | None
    region: str


def read_observations(path: Path, label_map: Mapping[str, str] | None = None) -> Iterator[Observation]:
    """The observations of a file, one for each line that has a label.

    Args:
        path: the file.
        label_map: from its labels to others; "*" stands for all others.

    Raises:
        WorkbenchError: it cannot be read, lacks a column, or has a month, date or coordinate that is none.
    """
    mapping = dict(label_map or {})
    for line, row in rows_of(path, needed=("label",), one_of=("month", "date")):
        label = row["label"]
        label = mapping.get(label, mapping.get("*", label))
        if not label:
            continue
        try:
            seen = Observation(label, month_of(row), place_of(row), row.get("region", ""))
        except ValueError as error:
            raise WorkbenchError(f"{path}, line {line}: {error}") from error
        yield seen


def rows_of(
    path: Path,
    *,
    needed: tuple[str, ...],
    one_of: tuple[str, ...] = (),
    more: Mapping[str, tuple[str, ...]] | None = None,
) -> Iterator[tuple[int, dict[str, str]]]:
    """The lines of a CSV by number, their cells by the names that this module knows, without blanks around them.

    Args:
        path: the file.
        needed: columns that it must have.
        one_of: columns of which it must have one.
        more: names of further columns.

    Raises:
        WorkbenchError: it cannot be read, or lacks a column.
    """
    names = {**_NAMES, **(more or {})}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            head = file.readline()
            between = max("\t;,", key=head.count)
            columns = [cell.strip().lower() for cell in next(csv.reader([head], delimiter=between), [])]
            found = {name: columns.index(one) for name, known in names.items() for one in known[::-1] if one in columns}
            missing = [name for name in needed if name not in found]
            if missing or (one_of and not found.keys() & set(one_of)):
                wanted = ", ".join(missing) or " or ".join(one_of)
                raise WorkbenchError(f"{path}: expected a column {wanted}; got {', '.join(columns) or 'no header'}")
            for number, cells in enumerate(csv.reader(file, delimiter=between), start=2):
                yield number, {name: cells[at].strip() if at < len(cells) else "" for name, at in found.items()}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise WorkbenchError(f"cannot read {path}: {error}") from error


def month_of(row: Mapping[str, str]) -> int | None:
    """The month of a line, 1 to 12; None where it says none, as a year alone does.

    Raises:
        ValueError: it is no month.
    """
    text = row.get("month", "")
    if text:
        if text.isascii() and text.isdecimal() and 1 <= int(text) <= MONTHS:
            return int(text)
        raise ValueError(f"expected a month, 1 to {MONTHS}; got {text!r:.40}")
    text = row.get("date", "")
    if not text or _YEAR.fullmatch(text):
        return None
    match = _MONTH.match(text)
    if match is None or not 1 <= int(match[1]) <= MONTHS:
        raise ValueError(f"expected a date such as 2026-05-31; got {text!r:.40}")
    return int(match[1])


def place_of(row: Mapping[str, str]) -> Place | None:
    """Latitude and longitude of a line; None where it has none.

    Raises:
        ValueError: they are no degrees.
    """
    latitude, longitude = row.get("latitude", ""), row.get("longitude", "")
    if not (latitude and longitude):
        return None
    try:
        return Place(float(latitude), float(longitude))
    except (ValueError, ConfigError):
        raise ValueError(
            f"expected degrees of latitude and longitude; got {latitude!r:.40}, {longitude!r:.40}"
        ) from None
