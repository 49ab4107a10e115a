"""An archive rule: its text says the same as its values, and what cannot be used is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.archive_rule import EXAMPLE, ArchiveRule, Exits
from edge_sdk.errors import ConfigError

LABELS = st.text(min_size=1, max_size=12) | st.sampled_from(
    ["fox", "red fox", "a, b", 'say "x"', "yes", "exits", " x "]
)
RULES = st.builds(
    ArchiveRule,
    max_bytes=st.integers(1, 10**15),
    max_age_s=st.none() | st.integers(1, 10**9).map(float) | st.floats(1e-3, 1e12),
    exits=st.sampled_from(Exits),
    classes=st.dictionaries(LABELS, st.sampled_from(Exits), max_size=3),
    offloads=st.booleans(),
    audits=st.booleans(),
    never_store=st.lists(LABELS, max_size=3, unique=True).map(tuple),
    never_above=st.floats(1e-9, 1.0),
    crop=st.booleans(),
)


@given(RULES)
def test_what_a_rule_writes_it_reads(rule: ArchiveRule) -> None:
    assert ArchiveRule.parse(str(rule)) == rule
    assert str(ArchiveRule.parse(str(rule))) == str(rule)


@given(st.text(alphabet=' ,:"\\0123456789.eBGMkdaysexitneverofpron', max_size=60))
def test_any_text_is_a_rule_or_refused(text: str) -> None:
    try:
        rule = ArchiveRule.parse(text)
    except ConfigError as error:
        assert "archive rule" in str(error) or "ArchiveRule" in str(error)
    else:
        assert ArchiveRule.parse(str(rule)) == rule


def test_the_texts_of_the_docs() -> None:
    assert ArchiveRule.parse(EXAMPLE) == ArchiveRule(
        max_bytes=10**9, max_age_s=90 * 86_400, exits=Exits.EVENT, never_store=("person",)
    )
    assert ArchiveRule.parse("2GB") == ArchiveRule(max_bytes=2 * 10**9)
    assert ArchiveRule.parse(
        '500MB,any age,exits:event,exits of fox: all, exits of "a, b": none, never above: 0.5'
    ) == ArchiveRule(
        max_bytes=500 * 10**6, max_age_s=None, exits="event", classes={"fox": "all", "a, b": "none"}, never_above=0.5
    )
    assert ArchiveRule.parse(
        "0.5GB, 1 hour, offloads: no, audits: no, crop: yes, never: a, never: b, never: a"
    ) == ArchiveRule(
        max_bytes=5 * 10**8, max_age_s=3600, offloads=False, audits=False, crop=True, never_store=("a", "b")
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "got '' in ''"),
        ("90 days", "expected the size in an archive rule"),
        ("1GB, 2GB", "each part of an archive rule once; got '2GB'"),
        ("1GB, any age, 3 days", "once; got '3 days'"),
        ("1GB, exits of fox: all, exits of fox: none", "once; got 'exits of fox: none'"),
        ("1GB, exits: some", "got 'exits: some'"),
        ("1GB, exits of : all", "got 'exits of : all'"),
        ("1GB, crop of fox: yes", "got 'crop of fox: yes'"),
        ("1GB, never: person: all", "got 'never: person: all'"),
        ("1GB, never above: two", "got 'never above: two'"),
        ("1GB, never above: 2", r"never_above in \(0, 1\]; got 2.0"),
        ('1GB, never: "person', "whose quotes are closed"),
        ("1 gallon", "got '1 gallon'"),
        ("0GB", "max_bytes as a whole number above 0; got 0"),
    ],
)
def test_texts_that_are_no_rule(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ArchiveRule.parse(text)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"max_bytes": 1.5}, "max_bytes as a whole number"),
        ({"max_age_s": 0}, "max_age_s as seconds above 0, or None; got 0"),
        ({"max_age_s": float("nan")}, "max_age_s"),
        ({"exits": "some"}, "ArchiveRule.exits as one of none, all, event; got 'some'"),
        ({"classes": {"fox": "some"}}, r"ArchiveRule.classes\['fox'\] as one of"),
        ({"classes": {"": "all"}}, "by names of classes"),
        ({"never_store": "person"}, "never_store as names of classes; got 'person'"),
        ({"never_above": 0}, "never_above"),
        ({"crop": "yes"}, "crop as True or False; got 'yes'"),
    ],
)
def test_values_that_cannot_be_used(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ArchiveRule(**wrong)


def test_classes_that_the_bundle_does_not_have_are_refused() -> None:
    rule = ArchiveRule.parse("1GB, never: persn, exits of fox: all")
    with pytest.raises(
        ConfigError, match=r"expected classes of the bundle \(fox, person\) in the archive rule; got persn"
    ):
        rule.check(("fox", "person"))
    ArchiveRule.parse("1GB, never: person").check(("fox", "person"))


@given(
    RULES.filter(lambda rule: bool(rule.never_store)),
    st.dictionaries(LABELS, st.floats(0, 1), max_size=4),
)
def test_a_frame_is_never_stored_by_the_sum(rule: ArchiveRule, chances: dict[str, float]) -> None:
    total = sum(chance for label, chance in chances.items() if label in rule.never_store)
    if abs(total - rule.never_above) > 1e-9:
        assert rule.is_never_stored(chances) == (total > rule.never_above)
    assert not ArchiveRule().is_never_stored(chances)
