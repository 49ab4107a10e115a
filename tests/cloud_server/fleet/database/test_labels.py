from __future__ import annotations

from collections import Counter
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, delete

from cloud_server.fleet.database.labels import Labels
from cloud_server.fleet.database.opening import transaction
from cloud_server.fleet.database.tables import labels as table
from edge_sdk.errors import ConfigError

FRAMES = [("cam-1", "a"), ("cam-1", "b"), ("cam-2", "a")]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(FRAMES), st.sampled_from(["fox", "deer", None])), max_size=8))
def test_the_latest_word_counts_and_all_are_kept(
    engine: Engine, said: list[tuple[tuple[str, str], str | None]]
) -> None:
    with transaction(engine) as connection:
        connection.execute(delete(table))
    ticks = count(1)
    labels = Labels(engine, clock=lambda: float(next(ticks)))
    expected: dict[tuple[str, str], str | None] = {}
    for frame, label in said:
        labels.add(*frame, label, "ada")
        expected[frame] = label
    holds = {frame: label for frame, label in expected.items() if label is not None}
    assert {frame: one.label for frame, one in labels.of(FRAMES).items()} == holds
    assert {(one.device, one.frame_id): one.label for one in labels.all()} == holds
    assert {one.frame_id for one in labels.all("cam-1")} == {frame[1] for frame in holds if frame[0] == "cam-1"}
    counts = Counter((one.label, one.made_by) for one in labels.all())
    assert labels.counts() == counts
    for frame in FRAMES:
        assert [one.label for one in labels.history(*frame)] == [label for which, label in said if which == frame]


def test_a_user_takes_back_their_latest_word_and_no_others(engine: Engine) -> None:
    labels = Labels(engine)
    labels.add("cam-1", "a", "fox", "ada")
    labels.add("cam-1", "b", "deer", "bob")
    labels.add("cam-1", "c", "boar", "ada")
    labels.add("cam-1", "c", "fox", "bob")
    assert labels.take_back("ada") == ("cam-1", "a")
    assert labels.take_back("ada") is None
    assert [(one.frame_id, one.label) for one in labels.all()] == [("b", "deer"), ("c", "fox")]


def test_many_frames_are_asked_for_at_once(engine: Engine) -> None:
    labels = Labels(engine)
    labels.add("cam-1", "1200", "fox", "ada")
    assert list(labels.of(("cam-1", str(number)) for number in range(1500))) == [("cam-1", "1200")]


@pytest.mark.parametrize("label", ["", " ", "a\nb", "x" * 101])
def test_a_label_is_one_line(engine: Engine, label: str) -> None:
    with pytest.raises(ConfigError, match="expected a label of 1 to 100 characters on one line"):
        Labels(engine).add("cam-1", "a", label, "ada")
