"""What kind of thing a label names: an animal, a person, a vehicle, nothing at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from edge_sdk.model.nothing import plain_words, says_nothing


class Kind(StrEnum):
    """The kinds of observations of Camtrap DP 1.0.2 (`observationType`)."""

    ANIMAL = "animal"
    HUMAN = "human"
    VEHICLE = "vehicle"
    BLANK = "blank"
    """Nothing is there."""
    UNKNOWN = "unknown"
    """Something that is none of these."""
    UNCLASSIFIED = "unclassified"
    """Nobody has said the last word yet."""


_WORDS: dict[Kind, str] = {
    Kind.HUMAN: "child, homo sapiens, human, humans, man, pedestrian, people, person, persons, woman",
    Kind.VEHICLE: (
        "atv, bicycle, bike, boat, bus, car, cars, lorry, motorbike, motorcycle, pickup, quad, tractor, train, truck, "
        "van, vehicle, vehicles"
    ),
    Kind.UNKNOWN: (
        "building or place, food, object, objects, other, others, place, places, plant, plant or fungus, plants, rest, "
        "things, unknown"
    ),
}
_KINDS = {word: kind for kind, words in _WORDS.items() for word in words.split(", ")}


@dataclass(frozen=True, slots=True)
class Taxa:
    """What labels mean.

    Attributes:
        given: from a label to one of "animal", "human", "vehicle", "blank" and "unknown", or to the scientific name of
            an animal; "*" stands for all other labels. A label that is not given means what its word says ("empty",
            "person", "truck"), else an animal.
    """

    given: Mapping[str, str] = field(default_factory=dict)

    def kind(self, label: str, *, unknown: bool = False) -> Kind:
        """The kind of thing that the label names; with `unknown`, that of a label which is not given is unknown."""
        meaning = self._meaning(label)
        if meaning is not None:
            return Kind(meaning) if meaning in frozenset(Kind) else Kind.ANIMAL
        if unknown:
            return Kind.UNKNOWN
        return Kind.BLANK if says_nothing(label) else _KINDS.get(plain_words(label), Kind.ANIMAL)

    def scientific_name(self, label: str) -> str:
        """The scientific name that was given for the label, or ""."""
        meaning = self._meaning(label)
        return "" if meaning is None or meaning in frozenset(Kind) else meaning

    def _meaning(self, label: str) -> str | None:
        return self.given.get(label, self.given.get("*"))
