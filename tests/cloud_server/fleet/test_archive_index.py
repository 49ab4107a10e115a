from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from gated_model import picture

from cloud_server.fleet.archive_folder import ANSWERS
from cloud_server.fleet.archive_index import ArchiveIndex
from cloud_server.fleet.frame_archive import AnsweredFrame, FrameArchive
from edge_sdk.types import Region, new_frame_id


def archived(folder: Path, *frame_ids: str, region: Region | None = None) -> None:
    archive = FrameArchive(folder, labels=["fox", "deer"], model="m", version="v")
    for frame_id in frame_ids:
        probabilities = np.array([0.75, 0.25], np.float32)
        archive.offer(AnsweredFrame(frame_id, picture(1, 32), "cam-1", datetime.now(UTC), probabilities, region=region))
    archive.close()


def test_it_finds_what_is_added_and_no_more(tmp_path: Path) -> None:
    index = ArchiveIndex(tmp_path)
    index.look()  # there is no archive yet
    first, second = new_frame_id(), new_frame_id()
    archived(tmp_path, first)
    index.look()
    assert index.has(first)
    archived(tmp_path, second, region=Region(1, 2, 3, 4, 1.0))
    assert not index.has(second)
    index.look()
    found = index.find(second, "cam-1")
    assert found is not None
    assert (found.region, found.size, found.top) == ((1, 2, 3, 4), (32, 32), {"fox": 0.75, "deer": 0.25})
    assert found.path.read_bytes() == picture(1, 32)
    assert index.find(first, "cam-2") is None
    assert index.find("../secret", "cam-1") is None


def test_a_half_written_line_is_read_once_it_is_whole(tmp_path: Path) -> None:
    frame_id = new_frame_id()
    archived(tmp_path, frame_id)
    file = tmp_path / ANSWERS
    content = file.read_bytes()
    file.write_bytes(content[:40])
    index = ArchiveIndex(tmp_path)
    index.look()
    assert not index.has(frame_id)
    with file.open("ab") as more:
        more.write(content[40:])
    index.look()
    assert index.find(frame_id, "cam-1") is not None


def test_a_day_that_was_moved_away_and_a_file_that_was_replaced(tmp_path: Path) -> None:
    first, second = new_frame_id(), new_frame_id()
    archived(tmp_path, first, second)
    index = ArchiveIndex(tmp_path)
    index.look()
    found = index.find(first, "cam-1")
    assert found is not None
    found.path.unlink()
    assert index.find(first, "cam-1") is None
    lines = (tmp_path / ANSWERS).read_bytes().splitlines(keepends=True)
    (tmp_path / ANSWERS).unlink()
    index.look()
    assert not index.has(second)
    (tmp_path / ANSWERS).write_bytes(lines[1])
    index.look()
    assert (index.has(first), index.has(second)) == (False, True)
    assert index.find(second, "cam-1") is not None
