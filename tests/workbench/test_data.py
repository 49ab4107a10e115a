import shutil
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_sdk.errors import WorkbenchError
from edge_sdk.model.bundle import InputSpec
from edge_sdk.workbench.data import open_source
from edge_sdk.workbench.folder_source import split_of
from edge_sdk.workbench.labelled import Split, read_all
from edge_sdk.workbench.pixels import load_pixels
from edge_sdk.workbench.simulated_source import FIRST_SEED, SimulatedSource

SPEC = InputSpec(32, 24, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))


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


def test_pixels_are_made_once_and_go_on_after_an_interruption(photos: Path, tmp_path: Path) -> None:
    source = open_source(str(photos), Split.ALL)
    first = load_pixels(source, SPEC, folder=tmp_path / "cache")
    assert len(first) == 60 and first.image(0).shape == (24, 32, 3)
    told: list[tuple[int, int]] = []
    again = load_pixels(source, SPEC, folder=tmp_path / "cache", on_part=lambda *now: told.append(now))
    assert told == []
    assert all(np.array_equal(first.image(index), again.image(index)) for index in range(60))
    for label, grey in (("cat", 60), ("dog", 180)):
        rows = np.flatnonzero(first.truths == first.labels.index(label))
        assert all(grey <= first.image(int(row)).mean() < grey + 30 for row in rows)


def test_labels_may_be_given_in_another_order_but_not_left_out(photos: Path, tmp_path: Path) -> None:
    source = open_source(str(photos), Split.ALL)
    pixels = load_pixels(source, SPEC, labels=("dog", "bird", "cat"), folder=tmp_path)
    assert set(pixels.truths) == {0, 2}
    with pytest.raises(WorkbenchError, match="also has dog"):
        load_pixels(source, SPEC, labels=("cat", "bird"), folder=tmp_path)


def test_the_simulated_cameras_seeds_never_meet() -> None:
    firsts = sorted({FIRST_SEED[split] for split in Split})
    assert len(firsts) == 4 and all(b - a >= 1_000_000 for a, b in pairwise(firsts))
    source = open_source("simulated://trailcam?seed=7&frames=4", Split.VAL)
    assert [p.source for p in read_all(source)] == ["simulated://trailcam?seed=2007000"] * 4


def test_streams_and_closeups_of_the_simulated_camera() -> None:
    stream = open_source("simulated://trailcam?seed=1&frames=3&streams=1", Split.TEST)
    assert [p.group in ("day", "dusk", "night") and p.label in stream.labels for p in read_all(stream)] == [True] * 3
    near = open_source("simulated://trailcam?seed=1&frames=10&closeups=1", Split.TRAIN)
    pictures = list(read_all(near))
    assert 10 < len(pictures) <= near.size(0) == 20
    assert sum(p.image.shape == (480, 640, 3) for p in pictures) >= 10


def test_more_frames_keep_the_key_and_other_seeds_change_it() -> None:
    def key(query: str) -> str:
        return SimulatedSource.from_address(f"simulated://trailcam?{query}", Split.TRAIN).key

    assert key("seed=1&frames=100") == key("seed=1&frames=900") != key("seed=2&frames=100")


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("simulated://zoo", "simulated://trailcam"),
        ("simulated://trailcam?colour=1", "seed, frames"),
        ("simulated://trailcam?seed=x", "numbers"),
        ("simulated://trailcam?frames=0", "frames of 1"),
        ("simulated://trailcam?frames=100001", "at most 100000"),
        ("/no/such/folder", "no/such/folder"),
    ],
)
def test_what_cannot_be_opened_is_told(address: str, message: str) -> None:
    with pytest.raises(WorkbenchError, match=message):
        open_source(address, Split.TRAIN)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WorkbenchError, match="0 pictures"):
        open_source(str(tmp_path), Split.TRAIN)
