"""The archive's rule in a classifier that runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from classifier_parts import ALWAYS, LABELS, NEVER, frame
from store_parts import frame_files

from edge_sdk import Answer, ArchiveRule, Blur, ConfigError, EdgeClassifier, Reason, StorageSettings

EVERYTHING = "1MB, " + ", ".join(f"never: {label}" for label in LABELS)


def test_a_class_that_is_never_stored_neither_waits_nor_is_kept(tmp_path: Path) -> None:
    with EdgeClassifier(state_dir=tmp_path, threshold=NEVER, storage=StorageSettings(archive=EVERYTHING)) as edge:
        answer = edge.classify(frame(0))
        assert answer.final and answer.reason is Reason.PRIVATE and edge.waiting == 0
        edge.reconfigure(threshold=ALWAYS)
        assert edge.classify(frame(1)).reason is Reason.CONFIDENT
        assert edge.journal.flush()
    assert not frame_files(tmp_path) and not frame_files(tmp_path, "archive")


def test_a_rule_may_change_while_the_device_runs(tmp_path: Path) -> None:
    heard: list[Answer] = []
    with EdgeClassifier(state_dir=tmp_path, threshold=NEVER, on_answer=heard.append) as edge:
        first = edge.classify(frame(0))
        edge.reconfigure(threshold=ALWAYS)
        edge.classify(frame(1))
        assert edge.journal.flush() and not frame_files(tmp_path, "archive")
        edge.reconfigure(archive="1MB")
        kept = edge.classify(frame(2))
        assert edge.journal.flush() and frame_files(tmp_path, "archive") == {kept.frame_id}
        assert frame_files(tmp_path) == {first.frame_id}
        with pytest.raises(ConfigError, match="in the archive rule; got unicorn"):
            edge.reconfigure(archive=ArchiveRule(never_store=("unicorn",)))
        assert edge.classify(frame(3)).final and edge.journal.flush() and len(frame_files(tmp_path, "archive")) == 2
        edge.reconfigure(archive=EVERYTHING)
        assert [(one.frame_id, one.final, one.reason) for one in heard] == [(first.frame_id, True, Reason.PRIVATE)]
        assert edge.journal.flush() and not frame_files(tmp_path) and not frame_files(tmp_path, "archive")
        edge.reconfigure(archive=None)
        edge.classify(frame(4))
    assert not frame_files(tmp_path, "archive")


def test_names_of_classes_are_checked_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="in the archive rule; got persn"):
        EdgeClassifier(state_dir=tmp_path, storage=StorageSettings(archive="1MB, never: persn"))
    with pytest.raises(ConfigError, match="in Blur; got persn"):
        EdgeClassifier(state_dir=tmp_path, blur=Blur(("persn",)))
    with pytest.raises(ConfigError, match="expected blur as a Blur; got 'person'"):
        EdgeClassifier(state_dir=tmp_path, blur="person")  # type: ignore[arg-type]
