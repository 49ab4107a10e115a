"""Priors of place and season: the table, its bounds, and Bayes' rule against one that is written out."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.errors import BundleError, ConfigError
from edge_sdk.model.bundle import open_bundle, read_priors, write_policy, write_priors
from edge_sdk.model.policy import Policy
from edge_sdk.model.priors import Box, ClassPrior, Place, PlacePrior, PriorRule, Priors, _at_least, prior_ratio
from edge_sdk.testing import write_fake_bundle
from edge_sdk.types import Prediction

LABELS = ("fox", "marmot", "reindeer", "empty")
ALPS, LAPLAND = "alps", "lapland"
SUMMER = (0, 0, 0, 1, 1, 1, 1, 1, 1, 0, 0, 0)
TABLE = Priors(
    regions={ALPS: (Box(44, 5, 48, 16),), LAPLAND: (Box(65, 15, 70, 30),), "NZ": ()},
    classes={
        "fox": ClassPrior(regions={ALPS: 1.0, LAPLAND: 0.5}),
        "marmot": ClassPrior(months=SUMMER, regions={ALPS: 2.0}),
        "reindeer": ClassPrior(regions={LAPLAND: 1.0}),
    },
)


def says(*chances: float) -> Prediction:
    return Prediction(LABELS, np.array(chances, np.float32) / np.float32(sum(chances)))


def test_what_does_not_live_there_gives_way_and_what_the_table_lacks_stays() -> None:
    prior = PlacePrior(TABLE, PriorRule(), Place(46.5, 9.8))
    assert prior.region == ALPS
    said = says(0.3, 0.1, 0.4, 0.2)
    summer, winter = prior.applied(said, 7), prior.applied(said, 1)
    assert (said.label, summer.label, winter.label) == ("reindeer", "fox", "fox")
    assert winter.probabilities[1] < 0.01 < summer.probabilities[1]
    assert winter.probabilities[3] == pytest.approx(0.2, abs=0.05)
    assert winter.probabilities[2] > 0  # the floor


def test_a_month_that_is_not_known_is_the_mean_of_the_year() -> None:
    marmot = TABLE.classes["marmot"]
    assert marmot.at(ALPS, None) == pytest.approx(np.mean([marmot.at(ALPS, month) for month in range(1, 13)]))


def test_a_place_in_no_region_changes_nothing() -> None:
    prior, said = PlacePrior(TABLE, PriorRule(), Place(0.0, 0.0)), says(1, 2, 3, 4)
    assert prior.region is None
    assert prior.applied(said, 5) is said


def test_a_region_is_named_where_it_has_no_boxes() -> None:
    assert PlacePrior(TABLE, PriorRule(), "NZ").region == "NZ"
    said = says(1, 2, 3, 4)
    applied = PlacePrior(TABLE, PriorRule(), "NZ").applied(said, 5)  # the table expects none of its classes there
    np.testing.assert_allclose(applied.probabilities, said.probabilities, rtol=1e-6)
    with pytest.raises(ConfigError, match="alps, lapland, NZ"):
        PlacePrior(TABLE, PriorRule(), "Narnia")


def test_the_smallest_region_wins_and_a_box_may_cross_the_date_line() -> None:
    table = msgspec.structs.replace(
        TABLE,
        regions={ALPS: (Box(44, 5, 48, 16),), LAPLAND: (Box(-90, -180, 90, 180),), "NZ": (Box(-50, 165, -30, -175),)},
    )
    assert table.region_of(Place(46, 10)) == ALPS
    assert table.region_of(Place(0, 0)) == LAPLAND
    assert [table.region_of(Place(-40, longitude)) for longitude in (170, 180, -180, -176)] == ["NZ"] * 4
    assert table.region_of(Place(-40, 160)) == LAPLAND


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"classes": {}}', "expected one or more `classes`"),
        ('{"classes": {"fox": {"months": [1, 2]}}}', "expected 12 `months`"),
        ('{"classes": {"fox": {"regions": {"alps": 1}}}}', "expected the regions of 'fox'"),
        ('{"classes": {"fox": {"weight": -1}}}', "weight"),
        ('{"classes": {"fox": {}}, "regions": {"a": [{"south": 9, "west": 0, "north": 1, "east": 1}]}}', "`south`"),
        ('{"classes": {"fox": {}}, "min_reader": 99}', "needs a newer edge_sdk"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "priors.json"
    path.write_text(text)
    with pytest.raises(BundleError, match=message):
        read_priors(path)


def test_a_bundle_carries_its_priors_and_ignores_what_it_does_not_know(tmp_path: Path) -> None:
    bundle = write_fake_bundle(tmp_path / "bundle", ("fox", "marmot"))
    assert bundle.priors is None
    write_priors(bundle.path, TABLE)
    assert open_bundle(bundle.path).priors == TABLE
    text = (bundle.path / "priors.json").read_text().replace('"classes"', '"new": 1, "classes"', 1)
    (bundle.path / "priors.json").write_text(text)
    assert open_bundle(bundle.path).priors == TABLE


def test_a_bundle_with_priors_that_are_not_its_own_is_refused(tmp_path: Path) -> None:
    bundle = write_fake_bundle(tmp_path / "bundle")
    write_policy(bundle.path, Policy(priors=PriorRule()))
    with pytest.raises(BundleError, match="the file is missing"):
        open_bundle(bundle.path)
    write_priors(bundle.path, TABLE)
    with pytest.raises(BundleError, match="expected classes of the bundle"):
        open_bundle(bundle.path)


@pytest.mark.parametrize("place", [(91.0, 0.0), (0.0, 181.0), (float("nan"), 0.0), ("46", 9.0)])
def test_a_place_is_on_the_globe(place: tuple[float, float]) -> None:
    with pytest.raises(ConfigError, match="in degrees"):
        Place(*place)


weights = st.floats(0, 10, allow_subnormal=False).map(lambda value: round(value, 3))
chances = st.lists(st.floats(0.001, 1), min_size=4, max_size=4)


@given(
    said=chances,
    listed=st.lists(weights, min_size=4, max_size=4),
    months=st.lists(weights, min_size=12, max_size=12),
    trained=st.lists(st.floats(0.1, 10), min_size=4, max_size=4),
    lacking=st.integers(0, 4),
    strength=st.floats(0, 1),
    floor=st.floats(0.001, 1),
    month=st.integers(1, 12),
)
def test_it_is_bayes_rule(
    said: list[float],
    listed: list[float],
    months: list[float],
    trained: list[float],
    lacking: int,
    strength: float,
    floor: float,
    month: int,
) -> None:
    mine = [number for number in range(4) if number != lacking]
    table = Priors(
        classes={LABELS[number]: ClassPrior(listed[number], tuple(months)) for number in mine},
        training={LABELS[number]: trained[number] for number in mine},
    )
    prediction = says(*said)
    prior = PlacePrior(table, PriorRule(strength=strength, floor=floor), Place(0, 0))
    got = prior.applied(prediction, month).probabilities
    assert got.sum() == pytest.approx(1.0, abs=1e-5)
    if not strength:
        assert got is prediction.probabilities
    there = {number: listed[number] * months[month - 1] for number in mine}
    if not sum(there.values()) > 0:
        np.testing.assert_allclose(got, prediction.probabilities, rtol=1e-4)
        return
    expected = []
    for number in range(4):
        ratio = 1.0
        if number in mine:
            here = there[number] / sum(there.values())
            then = trained[number] / sum(trained[one] for one in mine)
            ratio = (floor * then + (1 - floor) * here) / then
        expected.append(float(prediction.probabilities[number]) * ratio**strength)
    np.testing.assert_allclose(got, np.array(expected) / sum(expected), rtol=1e-4, atol=1e-7)


@given(listed=st.lists(st.floats(0.01, 10), min_size=4, max_size=4), floor=st.floats(0.001, 1))
def test_the_mean_ratio_under_the_training_prior_is_one(listed: list[float], floor: float) -> None:
    table = Priors(classes={label: ClassPrior(weight) for label, weight in zip(LABELS, listed, strict=True)})
    ratio = prior_ratio(table, LABELS, None, 1, floor)
    assert ratio.mean() == pytest.approx(1.0)
    assert ratio.min() >= floor


@given(
    st.lists(st.floats(1e-3, 1), min_size=2, max_size=6),
    st.lists(st.floats(1e-3, 1), min_size=6, max_size=6),
    st.lists(st.booleans(), min_size=6, max_size=6),
)
def test_a_private_class_never_becomes_less_probable(
    said: list[float], weighted: list[float], private: list[bool]
) -> None:
    least = np.array(said, np.float32) / np.float32(sum(said))
    chances = np.array(weighted[: len(said)], np.float32) / np.float32(sum(weighted[: len(said)]))
    where = np.array(private[: len(said)])
    got = _at_least(chances, least, where)
    assert got.sum() == pytest.approx(1.0, abs=1e-4)
    assert (got >= -1e-6).all() and (got[where] >= least[where] - 1e-6).all()
    if (chances[where] >= least[where]).all():
        assert (got == chances).all()
