"""When and where pictures of a calibration were taken: from a CSV, or from what their cameras wrote into them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_sdk.errors import ConfigError, ImageError, WorkbenchError
from edge_sdk.images.exif import parse_exif
from edge_sdk.images.header import read_header
from edge_sdk.model.priors import PRIORS_FILE, Place, Priors
from edge_sdk.workbench.observations import month_of, place_of, rows_of
from edge_sdk.workbench.records import Records


@dataclass(frozen=True, slots=True, eq=False)
class Taken:
    """When and where N pictures were taken.

    Attributes:
        months: `int64 (N,)`, 1 to 12; 0: not known.
        regions: of each, a name of the priors; None: in none of them, or not known.
    """

    months: NDArray[np.int64]
    regions: tuple[str | None, ...]


def taken_of(records: Records, table: Priors, *, place: Place | str | None = None, path: Path | None = None) -> Taken:
    """When and where the pictures of records were taken.

    Args:
        records: of any model on them; `ids` name them, `sources` are files where they are pictures on this machine.
        table: the priors, which name regions.
        place: where all of them were taken that `path` says nothing of; None: not known.
        path: a CSV with a column `id`, `month` or `date`, and perhaps `latitude` and `longitude`, or `region`; None:
            months are those of the records' times, else those that the cameras wrote into the files (EXIF).

    Raises:
        WorkbenchError: the CSV cannot be read, or names a region that the priors do not have.
        ConfigError: `place` is a region that the priors do not have.
    """
    usual = region_in(table, place)
    months = np.zeros(len(records), np.int64)
    regions: list[str | None] = [usual] * len(records)
    if path is None:
        times = np.full(len(records), np.nan) if records.times is None else records.times
        sources = [""] * len(records) if records.sources is None else records.sources.tolist()
        for at_row, (since_s, source) in enumerate(zip(times.tolist(), sources, strict=True)):
            months[at_row] = (
                _month_in(Path(source)) if math.isnan(since_s) else datetime.fromtimestamp(since_s, UTC).month
            )
        return Taken(months, tuple(regions))
    number = {name: row for row, name in enumerate(records.ids.tolist())}
    for line, row in rows_of(
        path, needed=("id",), one_of=("month", "date"), more={"id": ("id", "frame_id", "mediaid")}
    ):
        at = number.get(row["id"])
        if at is None:
            continue
        try:
            months[at] = month_of(row) or 0
            spot = place_of(row) or row.get("region") or None
            regions[at] = usual if spot is None else region_in(table, spot)
        except (ValueError, ConfigError) as error:
            raise WorkbenchError(f"{path}, line {line}: {error}") from error
    return Taken(months, tuple(regions))


def region_in(table: Priors, place: Place | str | None) -> str | None:
    """The region of the priors that a place or name means; None: none.

    Raises:
        ConfigError: a name that the priors do not have.
    """
    if isinstance(place, str):
        if place not in table.regions:
            names = ", ".join(table.regions) or "none"
            raise ConfigError(f"expected a region of {PRIORS_FILE} ({names}); got {place!r:.80}")
        return place
    return None if place is None else table.region_of(place)


def part_of(taken: Taken, chosen: NDArray[np.bool_]) -> Taken:
    """The chosen pictures alone."""
    regions = tuple(region for region, mine in zip(taken.regions, chosen.tolist(), strict=True) if mine)
    return replace(taken, months=taken.months[chosen], regions=regions)


def _month_in(path: Path) -> int:
    """The month of capture that a picture's file holds; 0: none."""
    if not path.is_file():
        return 0
    try:
        moment = parse_exif(read_header(path.read_bytes()).exif).captured_at
    except (ImageError, OSError):
        return 0
    return moment.month if moment is not None else 0
