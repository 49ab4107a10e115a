"""What labels mean."""

from __future__ import annotations

import pytest

from edge_sdk.formats.kinds import Kind, Taxa


@pytest.mark.parametrize(
    ("label", "kind"),
    [
        ("fox", Kind.ANIMAL),
        ("empty", Kind.BLANK),
        ("No_Animal", Kind.BLANK),
        ("false-trigger", Kind.BLANK),
        ("Person", Kind.HUMAN),
        ("truck", Kind.VEHICLE),
        ("others", Kind.UNKNOWN),
        ("no animal", Kind.BLANK),  # of the label groups that ship, what is no animal
        ("building or place", Kind.UNKNOWN),
        ("food", Kind.UNKNOWN),
        ("other", Kind.UNKNOWN),
        ("other animal", Kind.ANIMAL),
        ("plant or fungus", Kind.UNKNOWN),
        ("vehicle", Kind.VEHICLE),
        ("vanilla", Kind.ANIMAL),
    ],
)
def test_a_label_means_what_its_word_says(label: str, kind: Kind) -> None:
    assert Taxa().kind(label) is kind
    assert Taxa().scientific_name(label) == ""


def test_what_is_given_goes_before_the_word() -> None:
    taxa = Taxa({"fox": "Vulpes vulpes", "car": "unknown", "empty nest": "blank"})
    assert (taxa.kind("fox"), taxa.scientific_name("fox")) == (Kind.ANIMAL, "Vulpes vulpes")
    assert (taxa.kind("car"), taxa.scientific_name("car")) == (Kind.UNKNOWN, "")
    assert taxa.kind("empty nest") is Kind.BLANK
    assert taxa.kind("person") is Kind.HUMAN
    assert Taxa({"*": "unknown"}).kind("person") is Kind.UNKNOWN
