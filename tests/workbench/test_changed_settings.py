"""What has changed between two calls."""

from __future__ import annotations

from edge_sdk.workbench.changed_settings import changes


def test_settings_that_changed_came_or_went_are_told() -> None:
    assert changes({"a": "1", "b": "2"}, {"b": "2", "c": "3"}) == ["a was 1, now not there", "c was not there, now 3"]
    assert changes({"a": "1"}, {"a": "2"}) == ["a was 1, now 2"]
    assert changes({"a": "1", "b": "2"}, {"b": "2", "a": "1"}) == []
