"""Priors of place and season (`priors.json`): which classes can be expected where the camera stands, and when.

A network is trained on pictures from many places. At one place and in one month most of its classes are rare, and what
looks like one of those is mostly something else. By Bayes' rule

    p(class | image, place, month)  ~  p(class | image) * p(class | place, month) / p(class in training)

(Mac Aodha, Cole, Perona, "Presence-only geographical priors for fine-grained image classification", ICCV 2019, section
3; the division by the training prior is that of Saerens, Latinne, Decaestecker, "Adjusting the outputs of a classifier
to new a priori probabilities", Neural Computation 14, 2002, equation 2.4). Both priors are taken among the classes that
the table has; classes that it lacks, such as "empty" or "person", keep the share that the image gives them. A part
`floor` of the prior is the training prior, so that a rare guest stays possible, and the ratio is raised to a
`strength` from 0 (off) to 1, which calibration chooses.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from edge_sdk.errors import ConfigError
from edge_sdk.types import Prediction

PRIORS_FILE = "priors.json"
MONTHS = 12
_MOST_KNOWN = 64

_Weight = Annotated[float, Meta(ge=0)]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a camera stands.

    Attributes:
        latitude: degrees north, WGS84, -90 to 90.
        longitude: degrees east, WGS84, -180 to 180.

    Raises:
        ConfigError: a coordinate is no such thing.
    """

    latitude: float
    longitude: float

    def __post_init__(self) -> None:
        for name, most in (("latitude", 90), ("longitude", 180)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= most:
                raise ConfigError(f"expected the {name} of a Place in degrees, {-most} to {most}; got {value!r}")


def read_place(text: str) -> Place | str:
    """Degrees ("46.5,9.8") as a place, other text as the name of a region.

    Raises:
        ConfigError: it is a list of numbers, but not a latitude and a longitude.
    """
    try:
        degrees = [float(part) for part in text.split(",")]
    except ValueError:
        return text
    if len(degrees) != 2:
        raise ConfigError(f"expected latitude,longitude, such as 46.5,9.8, or a region's name; got {text!r}")
    return Place(*degrees)


class Box(msgspec.Struct, frozen=True):
    """A part of the globe between two parallels and two meridians, edges included.

    Attributes:
        south: lowest latitude, degrees north.
        west: degrees east at which it begins.
        north: highest latitude.
        east: degrees east at which it ends, east of `west`; less than `west` where it crosses the 180th meridian.
    """

    south: Annotated[float, Meta(ge=-90, le=90)]
    west: Annotated[float, Meta(ge=-180, le=180)]
    north: Annotated[float, Meta(ge=-90, le=90)]
    east: Annotated[float, Meta(ge=-180, le=180)]

    def __post_init__(self) -> None:
        if self.south > self.north:
            raise ValueError(f"expected `south` of at most `north`; got {self.south} and {self.north}")

    def holds(self, place: Place) -> bool:
        """Whether a place lies in it."""
        if not self.south <= place.latitude <= self.north:
            return False
        if self.west <= self.east:
            return self.west <= place.longitude <= self.east
        return place.longitude >= self.west or place.longitude <= self.east

    @property
    def area(self) -> float:
        """Its part of the globe's surface, in [0, 1]."""
        height = math.sin(math.radians(self.north)) - math.sin(math.radians(self.south))
        return height / 2 * ((self.east - self.west) % 360.0 / 360.0 if (self.west, self.east) != (-180, 180) else 1.0)


class ClassPrior(msgspec.Struct, frozen=True):
    """How common one class is, against the others of the table.

    Its weight at a place in a month is `weight` times the region's times the month's.

    Attributes:
        weight: of the class as a whole.
        months: of January to December; true and false count as 1 and 0. Empty: all months alike.
        regions: by the region's name; a region that is not named counts as 0. Empty: all regions alike.
    """

    weight: _Weight = 1.0
    months: tuple[_Weight | bool, ...] = ()
    regions: dict[str, _Weight | bool] = {}

    def __post_init__(self) -> None:
        if self.months and len(self.months) != MONTHS:
            raise ValueError(f"expected {MONTHS} `months`, January to December, or none; got {len(self.months)}")

    def at(self, region: str | None, month: int | None) -> float:
        """Its weight in a region and a month, 1 to 12; None: the mean over the months, or whatever the region."""
        value = self.weight
        if self.months:
            value *= sum(self.months) / MONTHS if month is None else self.months[month - 1]
        if self.regions and region is not None:
            value *= self.regions.get(region, 0.0)
        return float(value)


class Priors(msgspec.Struct, frozen=True, kw_only=True):
    """Which classes can be expected where and when (`priors.json`).

    Attributes:
        schema: version of this format that wrote it; for people.
        min_reader: the version of this format that a reader must know (`edge_sdk.model.bundle.READER`).
        regions: named parts of the globe, each one or more boxes; a region without boxes, such as a country's code, is
            one that the deployment names.
        classes: by label. Labels that the bundle does not have are passed over.
        training: how common each of these classes was in training; empty: all alike. One that is not named counts as 1.
        source: what it was made of, for people.
    """

    schema: int = 1
    min_reader: int = 1
    regions: dict[str, tuple[Box, ...]] = {}
    classes: dict[str, ClassPrior]
    training: dict[str, Annotated[float, Meta(gt=0)]] = {}
    source: str = ""

    def __post_init__(self) -> None:
        if not self.classes:
            raise ValueError("expected one or more `classes`; got none")
        for label, prior in self.classes.items():
            if unknown := sorted(prior.regions.keys() - self.regions.keys()):
                raise ValueError(f"expected the regions of {label!r} among `regions`; got {', '.join(unknown)}")

    def region_of(self, place: Place) -> str | None:
        """The region that a place lies in, of several the one of the smallest box; None: in none."""
        found = [(box.area, name) for name, boxes in self.regions.items() for box in boxes if box.holds(place)]
        return min(found)[1] if found else None


class PriorRule(msgspec.Struct, frozen=True):
    """How much the priors count, as calibration found it.

    Attributes:
        strength: exponent of the ratio of the priors for the little model's probabilities, from 0 (off) to 1.
        cloud: the same for the big model's.
        floor: part of the prior that is the training prior; what is never expected still counts this much.
    """

    strength: Annotated[float, Meta(ge=0, le=1)] = 1.0
    cloud: Annotated[float, Meta(ge=0, le=1)] = 0.0
    floor: Annotated[float, Meta(gt=0, le=1)] = 0.02


class PlacePrior:
    """The priors of one place, applied to predictions. Safe to use from several threads.

    Args:
        table: the bundle's.
        rule: how much they count.
        place: where the camera stands, or the region's name.

    Attributes:
        region: the region that the place lies in; None: in none that the table has, so nothing is known there.

    Raises:
        ConfigError: the table has no region of that name.
    """

    def __init__(self, table: Priors, rule: PriorRule, place: Place | str) -> None:
        if isinstance(place, str) and place not in table.regions:
            names = ", ".join(table.regions) or "none"
            raise ConfigError(f"expected place as a region of {PRIORS_FILE} ({names}) or a Place; got {place!r}")
        self.rule = rule
        self.region = place if isinstance(place, str) else table.region_of(place)
        self._table = table
        self._known: dict[tuple[tuple[str, ...], int | None, float], NDArray[np.float32]] = {}

    def applied(self, prediction: Prediction, month: int | None, never_less: Collection[str] = ()) -> Prediction:
        """The little model's prediction, given place and month.

        Args:
            prediction: what the image says.
            month: 1 to 12; None where the clock was not set: the mean over the year.
            never_less: classes that place and month may make more probable alone, such as private ones: nobody shall
                be uploaded because people are rare here.
        """
        if not self.rule.strength or not self._says_something:
            return prediction
        labels, said = prediction.labels, prediction.probabilities
        chances = self._weighted(labels, said, month, self.rule.strength)
        if never_less:
            chances = _at_least(chances, said, np.array([label in never_less for label in labels]))
        return Prediction(labels, chances, prediction.energy)

    def applied_to_cloud(
        self, labels: tuple[str, ...], chances: NDArray[np.float32], month: int | None
    ) -> NDArray[np.float32]:
        """The big model's probabilities, `float32 (C,)`, of its own `labels`, given place and month."""
        if not self.rule.cloud or not self._says_something:
            return chances
        return self._weighted(labels, chances, month, self.rule.cloud)

    @property
    def _says_something(self) -> bool:
        return self.region is not None or not self._table.regions

    def _weighted(
        self, labels: tuple[str, ...], chances: NDArray[np.float32], month: int | None, strength: float
    ) -> NDArray[np.float32]:
        key = labels, month, strength
        if (factors := self._known.get(key)) is None:
            ratio = prior_ratio(self._table, labels, self.region, month, self.rule.floor)
            if len(self._known) >= _MOST_KNOWN:  # a server may change its labels
                self._known.clear()
            factors = self._known[key] = (ratio**strength).astype(np.float32)
        weighted = chances * factors
        total = weighted.sum()
        result: NDArray[np.float32] = weighted / total if total > 0 else chances
        return result


def _at_least(
    chances: NDArray[np.float32], least: NDArray[np.float32], where: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Probabilities that are at least `least` in the classes `where`; what that takes is taken from the others."""
    result, held = chances.copy(), np.zeros(len(chances), np.bool_)
    while (below := where & ~held & (result < least)).any():
        held |= below
        result[held] = least[held]
        rest = chances[~held].sum()
        if rest > 0:
            result[~held] = chances[~held] * (max(0.0, 1.0 - float(least[held].sum())) / rest)
        else:
            return least
    return result


def prior_ratio(
    table: Priors, labels: Sequence[str], region: str | None, month: int | None, floor: float
) -> NDArray[np.float64]:
    """The prior of place and month over the training prior, `float64 (C,)`, at least `floor`.

    Both priors are over the labels that the table has, of which the mean ratio under the training prior is 1. Labels
    that it lacks have 1; so have all where the table expects none of them there.

    Args:
        table: the priors.
        labels: C class names.
        region: a name of the table; None: whatever the region.
        month: 1 to 12; None: the mean over the year.
        floor: part of the prior that is the training prior, in (0, 1].
    """
    ratio = np.ones(len(labels))
    mine = [number for number, label in enumerate(labels) if label in table.classes]
    expected = np.array([table.classes[labels[number]].at(region, month) for number in mine])
    if not expected.sum() > 0:
        return ratio
    trained = np.array([_of(table.training, labels[number]) for number in mine])
    ratio[mine] = floor + (1 - floor) * (expected / expected.sum()) / (trained / trained.sum())
    return ratio


def _of(weights: Mapping[str, float], label: str) -> float:
    return float(weights.get(label, 1.0))
