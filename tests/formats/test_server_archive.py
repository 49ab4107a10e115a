"""The frames that a server archived."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from format_parts import frame_id, picture, said

from cloud_server.fleet.frame_archive import AnsweredFrame, FrameArchive
from edge_sdk.errors import ConfigError, StorageError
from edge_sdk.formats.deployment import Deployment
from edge_sdk.formats.kinds import Taxa
from edge_sdk.formats.media import Media
from edge_sdk.formats.megadetector import write_megadetector
from edge_sdk.formats.server_archive import LINES, archived_entries
from edge_sdk.formats.sighting import sightings
from edge_sdk.types import Region

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Frames of two devices."""
    folder = tmp_path / "archive"
    kept = FrameArchive(folder, labels=("deer", "empty"), model="vit", version="v1")
    for number, device in enumerate(("cam-1", "cam-1", "cam-2")):
        image = picture(said(number, "deer")).image
        chances = np.array([0.25, 0.75] if number == 1 else [0.75, 0.25], np.float32)
        moved = Region(32, 24, 99, 12, 1.0) if number == 0 else None  # the picture ends at 64
        came, event = NOON + timedelta(seconds=number), frame_id(9) if number == 0 else ""
        kept.offer(AnsweredFrame(frame_id(number), image, device, came, chances, event=event, region=moved))
    kept.close()
    return folder


def test_the_frames_of_one_device(archive: Path) -> None:
    first, second = archived_entries(archive, "cam-1")
    assert (first.answer.frame_id, first.answer.captured_at, first.answer.label) == (frame_id(0), NOON, "deer")
    assert (first.cloud_model, first.cloud_top_k) == ("vit", (("deer", 0.75), ("empty", 0.25)))
    assert (first.region, first.frame_size) == (Region(32, 24, 32, 12, 1.0), (64, 48))
    assert second.answer.label == "empty" and second.region is None
    assert (first.event, second.event) == (frame_id(9), "")
    assert Path(first.answer.source).is_file()
    later = NOON + timedelta(seconds=1)
    assert [one.answer.frame_id for one in archived_entries(archive, "cam-1", since=later)] == [frame_id(1)]
    assert [one.answer.frame_id for one in archived_entries(archive, "cam-1", until=later)] == [frame_id(0)]


def test_they_are_exported_like_those_of_a_device(archive: Path, tmp_path: Path) -> None:
    frames = sightings(archived_entries(archive, "cam-1"), Media(archive, base=archive), Taxa())
    write_megadetector(tmp_path / "md.json", frames, Deployment())
    document = json.loads((tmp_path / "md.json").read_text())
    assert [(one["file"], len(one["detections"])) for one in document["images"]] == [
        (f"2026-06-01/{frame_id(0)}.jpg", 1),
        (f"2026-06-01/{frame_id(1)}.jpg", 0),
    ]
    assert document["info"]["classifier"] == "vit (cloud)"


def test_a_device_is_to_be_named_where_there_are_several(archive: Path) -> None:
    with pytest.raises(ConfigError, match="has cam-1, cam-2 and others"):
        list(archived_entries(archive))
    lines = (archive / LINES).read_text().splitlines()
    (archive / LINES).write_text("\n".join(lines[:2]))
    assert len(list(archived_entries(archive))) == 2


def test_lines_that_cannot_be_read_are_left_out(archive: Path, caplog: pytest.LogCaptureFixture) -> None:
    line = json.loads((archive / LINES).read_text().splitlines()[0])
    bad = [{**line, "file": "../x.jpg"}, {**line, "file": "/x.jpg"}, {**line, "received_at": "2026-06-01T12:00:00"}, {}]
    with (archive / LINES).open("a") as file:
        file.writelines(f"{json.dumps(one)}\n" for one in bad)
        file.write('{"file": "cut sh')
    with caplog.at_level(logging.WARNING):
        assert len(list(archived_entries(archive, "cam-1"))) == 2
    assert "5 lines cannot be read" in caplog.text


def test_no_archive_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="expected a server's archive"):
        list(archived_entries(tmp_path))
