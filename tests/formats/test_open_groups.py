"""Groups that may still grow."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from edge_sdk.formats.open_groups import LONGEST_PAUSE, OpenGroups

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def test_a_group_is_given_out_once_when_it_cannot_grow_any_more() -> None:
    groups = OpenGroups[str]()
    assert groups.get("a", NOON) is None
    groups.put("a", NOON, "first")
    groups.put("b", NOON, "second")
    later = NOON + LONGEST_PAUSE
    assert not list(groups.closed(later))
    assert groups.get("a", later) == "first"
    assert list(groups.closed(later + timedelta(seconds=1))) == ["second"]
    assert groups.get("b", later) is None
    assert list(groups.rest()) == ["first"]
    assert not list(groups.rest())
