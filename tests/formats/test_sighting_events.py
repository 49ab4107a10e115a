"""Events that were answered as a whole, in exports."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
from event_parts import LABELS, NOTHING, SURE, UNSURE, classifier, frame, says_fox

from edge_sdk import Preferences
from edge_sdk.formats.camtrap_dp import write_camtrap_dp
from edge_sdk.formats.deployment import Deployment
from edge_sdk.formats.kinds import Taxa
from edge_sdk.formats.media import Media
from edge_sdk.formats.sighting import sightings
from edge_sdk.formats.table import write_table
from edge_sdk.testing import FakeTransport

PLACE = Deployment("d1", "hide", 52.5, -1.25)


@pytest.mark.parametrize("asked", [True, False])
def test_an_event_has_its_own_answer_and_its_frames_have_theirs(tmp_path: Path, asked: bool) -> None:
    cloud: dict[str, Any] = {"cloud": "localhost:1", "transport": FakeTransport(LABELS, says_fox)} if asked else {}
    threshold = 0.9 if asked else 0.0
    with classifier(tmp_path, threshold=threshold, **cloud) as edge:
        list(edge.watch([frame(chances, second) for second, chances in enumerate([NOTHING, UNSURE, UNSURE])]))
        list(edge.late_answers(wait_s=20))
        found = sightings(edge.journal.query(), Media(tmp_path), Taxa(), event_of=edge.journal.event)
        write_camtrap_dp(tmp_path / "out", found, PLACE)
    with (tmp_path / "out" / "observations.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    (event,) = [row for row in rows if row["observationLevel"] == "event"]
    label, tier = ("fox", "cloud") if asked else ("empty", "device")
    assert f"label:{label}" in event["observationTags"] and event["classifiedBy"].endswith(f"({tier})")
    assert "big model" not in event["classifiedBy"]
    assert event["observationComments"] == "3 frames"
    assert event["observationType"] == ("animal" if asked else "blank")
    media = [row["observationTags"] for row in rows if row["observationLevel"] == "media"]
    assert sum("label:empty" in tags for tags in media) == 1 and len(media) == 3


def test_an_audited_event_is_marked_and_so_is_the_frame_that_was_sent(tmp_path: Path) -> None:
    transport = FakeTransport(LABELS, says_fox)
    with classifier(tmp_path, cloud="localhost:1", transport=transport, preferences=Preferences(audit=1.0)) as edge:
        list(edge.watch([frame(chances, second) for second, chances in enumerate([SURE, SURE, SURE])]))
        list(edge.late_answers(wait_s=20))
        found = list(sightings(edge.journal.query(), Media(tmp_path), Taxa(), event_of=edge.journal.event))
        write_camtrap_dp(tmp_path / "out", iter(found), PLACE)
        write_table(tmp_path / "frames.csv", iter(found), PLACE)
    with (tmp_path / "out" / "observations.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    (event,) = [row for row in rows if row["observationLevel"] == "event"]
    assert event["observationTags"].endswith("|audit") and "label:fox" in event["observationTags"]
    media = [row["observationTags"] for row in rows if row["observationLevel"] == "media"]
    assert [tags.endswith("|audit") for tags in media] == [True, False, False]
    with (tmp_path / "frames.csv").open(newline="") as file:
        assert [row["audit"] for row in csv.DictReader(file)] == ["yes", "no", "no"]
