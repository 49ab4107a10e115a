"""Priors from observations, against counts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edge_sdk.errors import WorkbenchError
from edge_sdk.model.priors import Box, Place, prior_ratio
from edge_sdk.workbench.make_priors import make_priors
from edge_sdk.workbench.observations import Observation


def seen(
    label: str, month: int | None, region: str = "", place: Place | None = None, times: int = 1
) -> list[Observation]:
    return [Observation(label, month, place, region)] * times


def test_season_and_region_of_each_class() -> None:
    observations = [
        *(
            one
            for month in range(1, 13)
            for region in ("alps", "norway")
            for one in seen("fox", month, region, times=20)
        ),
        *(one for month in range(5, 10) for one in seen("marmot", month, "alps", times=40)),
        *(one for month in range(1, 13) for one in seen("reindeer", month, "norway", times=20)),
    ]
    made = make_priors(observations, source="test")
    labels = ("fox", "marmot", "reindeer")
    assert made.used == {"fox": 480, "marmot": 200, "reindeer": 240}
    assert dict(made.table.regions) == {"alps": (), "norway": ()}
    july = prior_ratio(made.table, labels, "alps", 7, 0.01)
    january = prior_ratio(made.table, labels, "alps", 1, 0.01)
    north = prior_ratio(made.table, labels, "norway", 7, 0.01)
    assert july.argmax() == 1 and january.argmax() == 0
    assert january[1] < 0.3 * july[1]
    assert july[2] < 0.2 and north[1] < 0.2


def test_few_observations_say_little() -> None:
    common = [one for month in range(1, 13) for one in seen("fox", month, times=50)]
    few = make_priors([*common, *seen("lynx", 1)])
    many = make_priors([*common, *seen("lynx", 1, times=100)])
    assert max(few.table.classes["lynx"].months) < 1.5 < 4 < max(many.table.classes["lynx"].months)


def test_boxes_and_a_grid_find_the_region() -> None:
    alps = {"alps": (Box(44, 5, 48, 16),)}
    bern, oslo = Place(46.9, 7.4), Place(59.9, 10.8)
    observations = [
        *seen("fox", 1, place=bern),
        *seen("fox", 2, place=oslo),
        *seen("fox", None),
        *seen("fox", 3, "alps"),
    ]
    made = make_priors(observations, regions=alps)
    assert (made.used, made.undated, made.elsewhere) == ({"fox": 2}, 1, 1)
    assert made.table.regions == alps
    grid = make_priors(observations, grid=5)
    assert dict(grid.table.regions) == {"45N 5E": (Box(45, 5, 50, 10),), "55N 10E": (Box(55, 10, 60, 15),)}
    assert (grid.used, grid.elsewhere) == ({"fox": 2}, 1)


@given(latitude=st.floats(-90, 90), longitude=st.floats(-180, 180), grid=st.floats(0.5, 60))
@example(latitude=0.0, longitude=-5e-324, grid=2.0)
@example(latitude=90.0, longitude=180.0, grid=0.9)
@example(latitude=0.3, longitude=-1.1, grid=1.1)
@example(latitude=np.nextafter(0.7 * 3, 0), longitude=np.nextafter(0.7 * 3, 9), grid=0.7)
def test_a_place_lies_in_its_square(latitude: float, longitude: float, grid: float) -> None:
    place = Place(latitude, longitude)
    (box,) = make_priors(seen("fox", 1, place=place), grid=grid).table.regions.values()
    assert box[0].holds(place)
    assert box[0].north - box[0].south <= grid * 1.001 and box[0].east - box[0].west <= grid * 1.001


@given(
    counts=st.lists(st.lists(st.integers(0, 5), min_size=12, max_size=12), min_size=2, max_size=4),
    smoothing=st.floats(0.5, 50),
)
def test_it_is_the_smoothed_share_of_each_month(counts: list[list[int]], smoothing: float) -> None:
    observations = [
        one
        for row, months in enumerate(counts)
        for month, times in enumerate(months, start=1)
        for one in seen(f"class {row}", month, times=times)
    ]
    if not observations:
        with pytest.raises(WorkbenchError, match="expected observations"):
            make_priors(observations)
        return
    table = make_priors(observations, smoothing=smoothing).table
    blurred = [[(row[m - 1] + 2 * row[m] + row[(m + 1) % 12]) / 4 for m in range(12)] for row in counts]
    together = np.sum(blurred, axis=0) / np.sum(blurred)
    for row, months in enumerate(blurred):
        if not sum(months):
            continue
        expected = (np.array(months) + smoothing * together) / (sum(months) + smoothing) * 12
        np.testing.assert_allclose(table.classes[f"class {row}"].months, expected, rtol=1e-3)


@pytest.mark.parametrize(("smoothing", "grid"), [(0.0, None), (1.0, 0.0)])
def test_numbers_that_make_no_priors(smoothing: float, grid: float | None) -> None:
    with pytest.raises(WorkbenchError, match="expected a smoothing"):
        make_priors(seen("fox", 1), smoothing=smoothing, grid=grid)
