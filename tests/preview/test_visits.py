"""The latest visits, and which pictures of them are shown."""

from __future__ import annotations

from pathlib import Path

import pytest
from event_parts import NOTHING, SURE, UNSURE, classifier, frame, with_rule

from edge_sdk import EdgeClassifier, StorageSettings
from edge_sdk.camera.gate import MotionGate, MotionSettings
from edge_sdk.preview.visits import SHOWN, Visits

ARCHIVE = StorageSettings(archive="10MB")


def test_an_event_with_its_picture(tmp_path: Path) -> None:
    with classifier(tmp_path, with_rule(), storage=ARCHIVE) as edge:
        for second in (0, 1, 2):
            edge.classify(frame(SURE, second))
        edge.classify(frame(UNSURE, 60))
        edge.classify(frame(NOTHING, 120))
        edge.journal.flush()
        visits = Visits(edge)
        newest, second_visit, oldest = visits.latest()
        assert [one.label for one in (newest, second_visit, oldest)] == ["empty", "deer", "deer"]
        assert oldest.frames == 3 and oldest.device == "deer" and not oldest.waits and not oldest.cloud
        assert second_visit.waits and visits.waits_for_nobody()
        assert oldest.has_picture
        picture = visits.picture(oldest.key)
        assert picture is not None and picture[:3] == b"\xff\xd8\xff"


def test_without_an_archive_the_last_that_was_looked_at(tmp_path: Path) -> None:
    with classifier(tmp_path, with_rule()) as edge:
        visits = Visits(edge)
        answer = edge.classify(frame(SURE, 0))
        edge.journal.flush()
        (visit,) = visits.latest()
        assert not visit.has_picture and visits.picture(visit.key) is None
        visits.drawn(answer, b"jpeg")
        (visit,) = visits.latest()
        assert visit.has_picture and visits.picture(visit.key) == b"jpeg"


def test_frames_where_there_are_no_events(tmp_path: Path) -> None:
    with classifier(tmp_path, with_rule(), gate=MotionGate(MotionSettings(learn_frames=SHOWN + 3))) as edge:
        visits = Visits(edge)
        assert visits.latest() == []
        for _, answer in edge.watch(frame(SURE, second) for second in range(SHOWN + 3)):
            visits.drawn(answer, b"jpeg")
        edge.journal.flush()
        found = visits.latest()
        assert len(found) == SHOWN and found[0].key == answer.frame_id and found[0].frames == 1
        assert visits.picture(answer.frame_id) == b"jpeg"


def test_a_class_that_is_never_stored_has_no_picture_whatever_was_looked_at(tmp_path: Path) -> None:
    with classifier(tmp_path, with_rule(), storage=StorageSettings(archive="10MB, never: deer")) as edge:
        visits = Visits(edge)
        visits.drawn(edge.classify(frame(SURE, 0)), b"jpeg")
        visits.drawn(edge.classify(frame(NOTHING, 60)), b"other")
        edge.journal.flush()
        empty, deer = visits.latest()
        assert deer.private and visits.picture(deer.key) is None
        assert not empty.private and visits.picture(empty.key) is not None


def test_a_stricter_rule_takes_back_what_was_looked_at(tmp_path: Path) -> None:
    with classifier(tmp_path, with_rule(), storage=StorageSettings(archive="10MB, exits: none")) as edge:
        visits = Visits(edge)
        visits.drawn(edge.classify(frame(NOTHING, 0)), b"jpeg")
        edge.journal.flush()
        (visit,) = visits.latest()
        assert visits.picture(visit.key) == b"jpeg"
        edge.reconfigure(archive="10MB, exits: none, never: fox")
        assert visits.picture(visit.key) is None


@pytest.mark.parametrize("key", ["0" * 32, "", "../../etc/passwd"])
def test_a_visit_that_nobody_knows(tmp_path: Path, key: str) -> None:
    with classifier(tmp_path) as edge:
        assert Visits(edge).picture(key) is None


def test_memory_is_bounded(tmp_path: Path) -> None:
    with EdgeClassifier("trailcam", state_dir=tmp_path / "state") as edge:
        visits = Visits(edge)
        for second in range(40):
            visits.drawn(edge.classify(frame(SURE, second)), bytes(10))
        assert len(visits._seen) == 24
