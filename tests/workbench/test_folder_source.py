"""Pictures in folders of classes."""

import math
import shutil
from datetime import datetime
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import pytest

from edge_sdk.errors import WorkbenchError
from edge_sdk.workbench.data import open_source
from edge_sdk.workbench.folder_source import split_of
from edge_sdk.workbench.labelled import Split, read_all


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for label, grey in (("cat", 60), ("dog", 180)):
        folder = tmp_path / "photos" / label / "deeper"
        folder.mkdir(parents=True)
        for index in range(30):
            cv2.imwrite(str(folder / f"{index}.png"), np.full((48, 64, 3), grey + index, np.uint8))
    return tmp_path / "photos"


def test_a_folder_names_its_classes_and_its_splits_are_disjoint_and_whole(photos: Path) -> None:
    named = {split: {p.source for p in read_all(open_source(str(photos), split))} for split in Split}
    parts = [named[split] for split in Split if split is not Split.ALL]
    assert sum(len(part) for part in parts) == len(set.union(*parts)) == len(named[Split.ALL]) == 60
    assert open_source(str(photos), Split.TRAIN).labels == ("cat", "dog")
    assert split_of("cat/1.png") is split_of("cat/1.png")


def test_a_broken_photo_is_passed_over(photos: Path, caplog: pytest.LogCaptureFixture) -> None:
    (photos / "cat" / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    assert len(list(read_all(open_source(str(photos), Split.ALL)))) == 60
    assert "broken.jpg" in caplog.text


def test_links_are_followed_but_not_round_and_round_and_hidden_folders_are_left_out(
    photos: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    linked = tmp_path / "linked"
    linked.mkdir()
    (linked / "cat").symlink_to(photos / "cat")
    (linked / "dog").symlink_to(photos / "dog")
    (linked / "dog" / "up").symlink_to(linked)
    (linked / "dog" / "gone.png").symlink_to(tmp_path / "nothing.png")
    shutil.copytree(photos / "cat", linked / ".thumbnails")
    source = open_source(str(linked), Split.ALL)
    assert source.labels == ("cat", "dog")
    assert {image.label for image in read_all(source)} == {"cat", "dog"}
    assert "gone.png is a link to nothing" in caplog.text


def test_photos_beside_the_class_folders_have_no_label(photos: Path) -> None:
    cv2.imwrite(str(photos / "loose.png"), np.zeros((8, 8, 3), np.uint8))
    assert [p.label for p in read_all(open_source(str(photos), Split.ALL))].count(None) == 1


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WorkbenchError, match="0 pictures"):
        open_source(str(tmp_path), Split.TRAIN)


def test_a_photo_has_its_place_and_the_time_of_its_exif_block(tmp_path: Path) -> None:
    taken = PIL.Image.Exif()
    taken[0x0132] = "2026:05:01 10:00:00"
    for name, exif in (("fox/camera 3/a.jpg", taken), ("empty/camera 3/b.jpg", PIL.Image.Exif()), ("fox/c.jpg", taken)):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        PIL.Image.new("RGB", (16, 16)).save(tmp_path / name, exif=exif)
    found = {one.name: one for one in read_all(open_source(str(tmp_path), Split.ALL))}
    assert {name: one.place for name, one in found.items()} == {
        "fox/camera 3/a.jpg": "camera 3",
        "empty/camera 3/b.jpg": "camera 3",
        "fox/c.jpg": "",
    }
    assert found["fox/c.jpg"].moved_at == datetime(2026, 5, 1, 10).astimezone().timestamp()
    assert math.isnan(found["empty/camera 3/b.jpg"].moved_at)  # the time of the file's last change tells nothing


def test_videos_are_left_out_and_that_is_said_once(photos: Path, caplog: pytest.LogCaptureFixture) -> None:
    (photos / "cat" / "a.mp4").touch()
    (photos / "dog" / "deeper" / "B.AVI").touch()
    for split in (Split.TRAIN, Split.VAL):
        open_source(str(photos), split)
    (said,) = caplog.records
    assert (
        "left out: 2, such as" in said.getMessage() and "cat/a.mp4" in said.getMessage() and "EXIF" in said.getMessage()
    )
    for picture in photos.rglob("*.png"):
        picture.unlink()
    with pytest.raises(WorkbenchError, match=r"got 0 pictures in all\. videos in .* are left out: 2"):
        open_source(str(photos), Split.VAL)
