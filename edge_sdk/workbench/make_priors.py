"""Priors of place and season from observations.

The weight of a class at a place in a month is its number of observations, times the share of them that was made in that
region, times the share in that month: region and month count each by itself. Months run into one another (a kernel of
1/4, 1/2, 1/4 around the year), and both shares are drawn towards those of all observations together, by `smoothing`
observations that every class is given beyond its own (the posterior mean under a Dirichlet prior). What is common to
all classes, such as when and where people look most, cancels when the device compares classes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_sdk.errors import WorkbenchError
from edge_sdk.model.priors import MONTHS, Box, ClassPrior, Place, Priors
from edge_sdk.workbench.observations import Observation

_DIGITS = 4


@dataclass(frozen=True, slots=True)
class MadePriors:
    """Priors, and what they were made of.

    Attributes:
        table: the priors.
        used: observations by label.
        undated: observations left out, of which no month is known.
        elsewhere: observations left out, of which no place is known, or which lie in no region.
    """

    table: Priors
    used: dict[str, int]
    undated: int
    elsewhere: int


def make_priors(
    observations: Iterable[Observation],
    *,
    regions: Mapping[str, tuple[Box, ...]] | None = None,
    grid: float | None = None,
    smoothing: float = 10.0,
    source: str = "",
) -> MadePriors:
    """Count observations and smooth them.

    Args:
        observations: what was seen, when and where.
        regions: by name, each with its boxes; observations that lie in none, or name another, are left out. None: those
            that the observations name.
        grid: squares of so many degrees, each a region, for observations with latitude and longitude.
        smoothing: observations that every class is given, spread as those of all classes are.
        source: what they are, for people.

    Raises:
        WorkbenchError: no observation can be used, or the numbers cannot be.
    """
    if not 0 < smoothing < math.inf or (grid is not None and not 0.01 <= grid <= 180):
        raise WorkbenchError(f"expected a smoothing above 0 and a grid of 0.01 to 180 degrees; got {smoothing}, {grid}")
    known: dict[str, tuple[Box, ...]] = dict(regions or {})
    lookup = Priors(regions=known, classes={"": ClassPrior()}) if known else None
    counts: dict[tuple[str, str], NDArray[np.float64]] = {}
    undated = elsewhere = 0
    for one in observations:
        if one.month is None:
            undated += 1
            continue
        region: str | None = one.region
        if lookup is not None:
            region = lookup.region_of(one.place) if one.place is not None else one.region
            region = region if region in known else None
        elif grid is not None:
            region = None
            if one.place is not None:
                region, box = _square(one.place, grid)
                known[region] = (box,)
        if region is None:
            elsewhere += 1
            continue
        if region:
            known.setdefault(region, ())
        counts.setdefault((one.label, region), np.zeros(MONTHS))[one.month - 1] += 1
    if not counts:
        raise WorkbenchError(
            f"expected observations with a label, a month and, where there are regions, a place in one of them; "
            f"{undated} have no month, {elsewhere} no place"
        )
    unplaced = sum(int(months.sum()) for (_, region), months in counts.items() if not region)
    if unplaced and known:  # some name a region, others do not
        elsewhere += unplaced
        counts = {key: months for key, months in counts.items() if key[1]}
    table, used = _table(counts, known, smoothing, source)
    return MadePriors(table, used, undated, elsewhere)


def _table(
    counts: dict[tuple[str, str], NDArray[np.float64]], known: dict[str, tuple[Box, ...]], smoothing: float, source: str
) -> tuple[Priors, dict[str, int]]:
    labels = sorted({label for label, _ in counts})
    places = sorted({region for _, region in counts})
    cube = np.zeros((len(labels), len(places), MONTHS))
    for (label, region), months in counts.items():
        cube[labels.index(label), places.index(region)] = months
    of_class = cube.sum(axis=(1, 2))
    seasons = cube.sum(axis=1)
    seasons = (np.roll(seasons, 1, axis=1) + 2 * seasons + np.roll(seasons, -1, axis=1)) / 4
    months = _drawn(seasons, smoothing)
    regions = _drawn(cube.sum(axis=2), smoothing)
    weights = (of_class + 1) / (of_class + 1).sum()
    classes = {
        label: ClassPrior(
            _rounded(weights[row]),
            tuple(_rounded(value * MONTHS) for value in months[row]),
            {} if places == [""] else {name: _rounded(value) for name, value in zip(places, regions[row], strict=True)},
        )
        for row, label in enumerate(labels)
    }
    kept = {name: boxes for name, boxes in known.items() if boxes or name in places}
    used = {label: int(number) for label, number in zip(labels, of_class, strict=True)}
    return Priors(regions=kept, classes=classes, source=source), used


def _drawn(counts: NDArray[np.float64], smoothing: float) -> NDArray[np.float64]:
    """Shares of each row, drawn towards those of all rows together: `(K, M)`."""
    together = counts.sum(axis=0) / counts.sum()
    result: NDArray[np.float64] = (counts + smoothing * together) / (counts.sum(axis=1, keepdims=True) + smoothing)
    return result


def _square(place: Place, grid: float) -> tuple[str, Box]:
    """The square of the grid that a place lies in, with its name, such as "45N 5E" for its south-west corner."""
    south, north = _step(place.latitude, grid, 90.0)
    west, east = _step(place.longitude, grid, 180.0)
    name = f"{abs(south):g}{'N' if south >= 0 else 'S'} {abs(west):g}{'E' if west >= 0 else 'W'}"
    return name, Box(max(south, -90.0), max(west, -180.0), min(north, 90.0), min(east, 180.0))


def _step(value: float, grid: float, top: float) -> tuple[float, float]:
    """The ends of the step of the grid that holds a value, also where the division rounds it over an edge.

    The last step holds its upper end, `top`, as well.
    """
    index = math.floor(value / grid)
    if index * grid > value or index * grid >= top:
        index -= 1
    elif (index + 1) * grid < value:
        index += 1
    return index * grid, (index + 1) * grid


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
