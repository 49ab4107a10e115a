"""Making records: resumable, each model in its own way."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_sdk.errors import WorkbenchError
from edge_sdk.images.rendition import Upload
from edge_sdk.model.bundle import InputSpec
from edge_sdk.model.little import LittleModel
from edge_sdk.networks.label_groups import label_group
from edge_sdk.networks.labels import imagenet_labels
from edge_sdk.types import Region, View
from edge_sdk.workbench.data import open_source
from edge_sdk.workbench.labelled import LabelledImage, Split, read_all
from edge_sdk.workbench.recorder import run_subjects, write_records
from edge_sdk.workbench.records import check_same
from edge_sdk.workbench.records_file import load_records
from edge_sdk.workbench.subjects import Subject, callable_subject, file_name, open_subject, with_label_map

LABELS = ("blue", "green", "red")
SPEC = InputSpec(8, 6, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def colours(count: int = 0) -> Subject:
    """A model that answers with the colour it sees most of."""
    return callable_subject(f"colours{count}", lambda images: images.mean((1, 2))[:, ::-1], LABELS, SPEC, macs=5)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for channel, label in enumerate(LABELS):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for index in range(6):
            image = rng.integers(0, 60, (40, 50, 3), np.uint8)
            image[..., channel] += 150
            cv2.imwrite(str(tmp_path / "photos" / label / f"{index}.png"), image)
    return tmp_path / "photos"


def test_models_are_run_each_in_its_own_way(photos: Path) -> None:
    source = open_source(str(photos), Split.ALL)
    sent = Subject(*(getattr(colours(), name) for name in ("info", "prepare", "logits")), upload=Upload(16, 60))  # type: ignore[misc]
    plain, uploaded = run_subjects([colours(), sent], source.read(0))
    assert plain.accuracy == uploaded.accuracy == 1.0
    assert plain.ids[0] == "blue/0.png"
    assert plain.upload_bytes is None and uploaded.upload_bytes is not None and (uploaded.upload_bytes > 200).all()
    assert plain.info.latency_ms > 0


def test_folders_of_imagenets_classes_may_have_their_numbers() -> None:
    animals = label_group("animals")
    image = np.zeros((8, 8, 3), np.uint8)
    pictures = [LabelledImage(image, folder) for folder in ("388", "goldfish")]
    panda = np.eye(1000)[388] * 20
    fine = callable_subject("f", lambda images: np.tile(panda, (len(images), 1)), imagenet_labels(), SPEC)
    assert run_subjects([fine], pictures)[0].right.tolist() == [True, False]
    coarse = with_label_map(fine, animals)
    found = run_subjects([coarse], pictures)[0]
    assert [found.info.labels[truth] for truth in found.truths] == ["bear", "fish"]
    assert found.right.tolist() == [True, False]
    with pytest.raises(WorkbenchError, match=r"chickadee \.\.\. \(1000 in all\); got 'holiday'"):
        run_subjects([fine], [LabelledImage(image, "holiday")])


def test_a_run_that_was_interrupted_goes_on(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_sdk.workbench.folder_source._FILES_PER_PART", 5)
    source = open_source(str(photos), Split.ALL)
    seen: list[int] = []

    class Stop(Exception):
        pass

    def stop(done: int, parts: int) -> None:
        if done == 2:
            raise Stop

    def counted(images: np.ndarray) -> np.ndarray:
        seen.append(len(images))
        return images.mean((1, 2))[:, ::-1]  # type: ignore[no-any-return]

    subject = callable_subject("c", counted, LABELS, SPEC)
    with pytest.raises(Stop):
        write_records([subject], source, tmp_path / "out", on_part=stop)
    before = sum(seen)
    paths = write_records([subject], source, tmp_path / "out")
    whole = run_subjects([subject], (picture for part in range(source.parts) for picture in source.read(part)))[0]
    assert load_records(paths[0]).ids.tolist() == whole.ids.tolist()
    assert load_records(paths[0]).accuracy == 1.0
    again = [size for size in seen if size > 1]
    assert sum(again[: len(again) - 1]) <= before + 18
    assert not (tmp_path / "out" / ".parts").exists()


def test_models_that_do_not_fit_are_refused(photos: Path, tmp_path: Path) -> None:
    source = open_source(str(photos), Split.ALL)
    with pytest.raises(WorkbenchError, match="different names"):
        write_records([colours(), colours()], source, tmp_path)
    other = callable_subject("other", lambda images: images.mean((1, 2)), ("a", "b", "c"), SPEC)
    with pytest.raises(WorkbenchError, match="models of the same labels"):
        run_subjects([colours(), other], source.read(0))
    with pytest.raises(WorkbenchError, match="expected labelled pictures"):
        run_subjects([colours()], [])
    with pytest.raises(WorkbenchError, match="got 'cat'"):
        run_subjects([colours()], [LabelledImage(np.zeros((4, 4, 3), np.uint8), "cat")])
    with pytest.raises(WorkbenchError):
        open_subject("no_such_network")
    assert file_name("hf_hub:timm/x") == "hf_hub_timm_x"


def test_labels_keep_their_order_when_only_some_models_lack_a_part(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_sdk.workbench.folder_source._FILES_PER_PART", 5)
    source = open_source(str(photos), Split.ALL)
    turned = callable_subject("turned", lambda images: images.mean((1, 2)), LABELS[::-1], SPEC)

    class Stop(Exception):
        pass

    def stop(done: int, parts: int) -> None:
        raise Stop

    with pytest.raises(Stop):
        write_records([colours()], source, tmp_path / "out", on_part=stop)
    one, two = (load_records(path) for path in write_records([colours(), turned], source, tmp_path / "out"))
    check_same(one, two)
    assert one.accuracy == two.accuracy == 1.0


def test_more_frames_of_the_same_cameras_are_more_records(tmp_path: Path) -> None:
    labels = open_source("simulated://trailcam?frames=1", Split.CALIBRATION).labels
    subject = callable_subject("c", lambda images: np.ones((len(images), len(labels))), labels, SPEC)
    for frames in (2, 4):
        source = open_source(f"simulated://trailcam?seed=3&frames={frames}", Split.CALIBRATION)
        assert len(load_records(write_records([subject], source, tmp_path)[0])) == frames


def test_each_model_sees_its_part_of_a_picture() -> None:
    image = np.zeros((480, 640, 3), np.uint8)
    image[..., 2] = 200  # blue, as these models name it
    image[200:280, 300:380] = (200, 0, 0)
    region = Region(300, 200, 80, 80, 1.0)
    pictures = [
        LabelledImage(image, "red", name="a", region=region, place="x", moved_at=5.0),
        LabelledImage(image, "blue", name="b"),
    ]
    base = callable_subject("c", lambda images: images.mean((1, 2))[:, ::-1] / 50, LABELS, SPEC)
    sent = replace(base.looking_at(View.REGION, Upload(64, 60)), upload=Upload(320, 80))
    little, near, whole = run_subjects(
        [base.looking_at(View.BOTH), sent, replace(base, upload=Upload(320, 80))], pictures
    )
    assert little.looks is not None and little.probabilities is not None
    assert (little.looks[0, 0] != little.looks[0, 1]).any() and (little.looks[1, 0] == little.looks[1, 1]).all()
    assert little.probabilities[0] == pytest.approx(little.looks[0].mean(axis=0), abs=1e-3)
    assert near.upload_bytes is not None and whole.upload_bytes is not None
    assert near.upload_bytes[0] < whole.upload_bytes[0] and near.upload_bytes[1] == whole.upload_bytes[1]
    assert (little.info.view, near.info.view, whole.info.view) == ("both", "region", "frame")
    assert little.places is not None and little.places.tolist() == ["x", ""]
    assert little.times is not None and little.times[0] == 5.0 and np.isnan(little.times[1])


def test_a_bundle_in_the_recorder_answers_as_on_the_device() -> None:
    stream = "simulated://trailcam?seed=4&frames=24&streams=1&gate=1&each=24"
    pictures = list(read_all(open_source(stream, Split.TEST)))
    with LittleModel("trailcam") as model:
        for view in View:
            records = run_subjects([open_subject("trailcam", view=view)], pictures)[0]
            device = [model.predict(one.image, one.region, view).probabilities for one in pictures]
            assert records.calibrated_by(model.bundle.policy) == pytest.approx(np.array(device), abs=2e-3)
