"""What is looked at in the pictures of a task."""

from __future__ import annotations

from pathlib import Path

import burst_parts
import numpy as np
import pytest

from edge_sdk.errors import ImageError, WorkbenchError
from edge_sdk.images.read import read_image
from edge_sdk.model.bundle import InputSpec
from edge_sdk.model.inputs import prepare
from edge_sdk.types import View
from edge_sdk.workbench.data import open_source
from edge_sdk.workbench.labelled import Split, read_all
from edge_sdk.workbench.looks import Finding, looks_at, photo_regions
from edge_sdk.workbench.specialize.picture_looks import PictureLooks
from edge_sdk.workbench.specialize.task import read_task, read_test

SPEC = InputSpec(64, 48, (0.5,) * 3, (0.5,) * 3)


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return burst_parts.write_card(tmp_path_factory.mktemp("card"), burst_parts.shots(8))


@pytest.mark.parametrize("view", View)
def test_each_file_is_looked_at_as_the_device_does(card: Path, view: View) -> None:
    looks = PictureLooks(card, view, SPEC)
    pictures = list(read_all(photo_regions(open_source(str(card), Split.ALL))))
    for picture in pictures:
        wanted = [one.image for one in looks_at(picture, view, SPEC.width, SPEC.height)]
        assert all(map(np.array_equal, looks.of(Path(picture.source)), wanted))
    near = 0 if view is View.FRAME else sum(one.region is not None for one in pictures)
    assert (looks.pictures, looks.near) == (len(pictures), near)
    assert bool(looks.sentence()) == (view is not View.FRAME)


def test_a_task_of_two_looks_is_measured_by_the_mean_of_both(card: Path) -> None:
    task = read_task(card, 4, SPEC, view=View.BOTH)
    assert task.samples.labels == ("empty", "fox") and task.samples.count == 8 < len(task.samples)
    test = read_test(task, None, SPEC, view=View.BOTH)
    assert test is not None and test.count == 16 < len(test)
    wanted = [
        prepare(one.image, SPEC)
        for paths in task.used.values()
        for path in paths
        for picture in read_all(photo_regions(open_source(str(card), Split.ALL)))
        if Path(picture.source) == path
        for one in looks_at(picture, View.BOTH, SPEC.width, SPEC.height)
    ]
    assert np.array_equal(task.samples.images, np.stack(wanted))


def test_a_picture_that_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    folder = burst_parts.write_classes(tmp_path / "photos", burst_parts.shots(4))
    broken = next(folder.rglob("*.JPG"))
    broken.write_bytes(b"\xff\xd8\xff")
    assert list(PictureLooks(folder, View.BOTH, SPEC).of(broken)) == []
    with pytest.raises(ImageError):
        PictureLooks(folder, View.FRAME, SPEC).of(broken)
    task = read_task(folder, 6, SPEC, view=View.BOTH)
    assert task.samples.count == 11


def test_an_archive_of_the_server_is_seen_whole(tmp_path: Path) -> None:
    shot = burst_parts.shots(1, 1)[0]
    burst_parts.write_photo(tmp_path / "a.jpg", shot.image, shot.taken)
    (tmp_path / "answers.csv").write_text("file,label,confidence\na.jpg,fox,0.9\n")
    looks = PictureLooks(tmp_path, View.BOTH, SPEC)
    assert np.array_equal(looks.of(tmp_path / "a.jpg")[0], read_image(tmp_path / "a.jpg").image)
    assert looks.sentence() == "regions: in 0 of 1 pictures; the others are seen whole"
    with pytest.raises(WorkbenchError, match="expected class folders or a CSV"):
        PictureLooks(tmp_path, View.BOTH, SPEC, Finding(boxes=tmp_path / "md.json"))
