"""Records and rules of photos in bursts, whole and near."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import burst_parts
import numpy as np
import pytest

from edge_sdk.cli import cli
from edge_sdk.cli.regions import regions_line
from edge_sdk.model.bundle import open_bundle
from edge_sdk.model.little import LittleModel
from edge_sdk.terminal.command import run
from edge_sdk.workbench import folder_source
from edge_sdk.workbench.data import open_source
from edge_sdk.workbench.event_records import event_of_frames
from edge_sdk.workbench.labelled import Split, read_all
from edge_sdk.workbench.looks import photo_regions
from edge_sdk.workbench.recorder import write_records
from edge_sdk.workbench.records_file import load_records
from edge_sdk.workbench.subjects import open_subject

pytestmark = pytest.mark.filterwarnings("ignore")  # of the exporter's own code


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`labels.csv` of a card with forty bursts."""
    return burst_parts.write_card(tmp_path_factory.mktemp("card"), burst_parts.shots(40))


def said(capsys: pytest.CaptureFixture[str]) -> str:
    captured = capsys.readouterr()
    return " ".join((captured.out + captured.err).split())


def test_records_of_bursts_are_what_the_device_says(
    card: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(cli, "edge-sdk", ["records", "trailcam", "--data", str(card), "--out", str(tmp_path)]) == 0
    (file,) = tmp_path.glob("*.npz")
    records = load_records(file)
    near = records.with_region
    assert f"regions: in {near.sum()} of 120 pictures; the others are seen whole" in said(capsys)
    assert 40 < near.sum() < 120
    assert records.looks is not None and records.places is not None and set(records.places) == {"DCIM/100MEDIA"}
    pictures = {one.name: one for one in read_all(photo_regions(open_source(str(card), Split.ALL)))}
    visits = event_of_frames(records)  # each burst is one
    assert np.unique(visits, return_counts=True)[1].tolist() == [3] * 40
    with LittleModel("trailcam") as model:
        for row, name in enumerate(records.ids.tolist()):
            said_there = model.predict(pictures[name].image, pictures[name].region)
            ours = records.calibrated_by(model.bundle.policy)[row] if row % 20 == 0 else None
            assert near[row] == (pictures[name].region is not None)
            if ours is not None:
                assert np.abs(said_there.probabilities - ours).max() < 0.01  # records keep float16


def test_a_stopped_run_goes_on_with_the_same_regions(
    card: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_source, "_FILES_PER_PART", 25)
    source = photo_regions(open_source(str(card), Split.ALL))
    subject = open_subject("trailcam").timed(1.0)
    whole = load_records(write_records([subject], source, tmp_path / "whole")[0])

    def stop(done: int, of: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_records([subject], source, tmp_path / "parts", on_part=stop)
    again = photo_regions(open_source(str(card), Split.ALL))
    parts = load_records(write_records([subject], again, tmp_path / "parts")[0])
    assert parts.ids.tolist() == whole.ids.tolist()
    assert np.array_equal(parts.with_region, whole.with_region)
    assert parts.looks is not None and whole.looks is not None and np.array_equal(parts.looks, whole.looks)


def test_frames_with_a_region_get_a_rule_of_their_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for place in range(3):
        card = burst_parts.shots(24, seed=place, across=160, down=120)
        burst_parts.write_classes(tmp_path / "photos", card, place=f"camera {place}")
    bundle = shutil.copytree(open_bundle("trailcam").path, tmp_path / "bundle")
    given = ["--bundle", str(bundle), "--big", "trailcam", "--data", str(tmp_path / "photos"), "--per", "frame"]
    assert run(cli, "edge-sdk", ["calibrate", *given, "--drop", "0.5", "--view", "both", "--no-gate"]) == 0
    told = said(capsys)
    assert "regions: in " in told and "frames with a region: little" in told
    policy = open_bundle(bundle).policy
    assert policy.regions is not None and int(policy.calibration["region_pictures"]) >= 100


def test_boxes_of_megadetector_say_where_to_look(
    card: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = [{"category": "1", "conf": 0.9, "bbox": [0.1, 0.1, 0.2, 0.2]}]
    images = [{"file": f"100MEDIA/IMG_{number}.JPG", "detections": found} for number in range(7, 17)]
    boxes = tmp_path / "md.json"
    boxes.write_text(json.dumps({"images": images}))
    given = ["records", "trailcam", "--data", str(card), "--out", str(tmp_path)]
    assert run(cli, "edge-sdk", [*given, "--boxes", str(boxes)]) == 0
    assert "regions: in 10 of 120 pictures" in said(capsys)
    assert run(cli, "edge-sdk", [*given, "--boxes", str(card)]) == 2
    assert "expected MegaDetector's results (JSON)" in said(capsys)
    assert run(cli, "edge-sdk", [*given, "--boxes", str(boxes), "--view", "frame"]) == 2
    assert "expected a model that looks at regions" in said(capsys)
    bundle = str(open_bundle("trailcam").path)
    assert run(cli, "edge-sdk", [*given, "--boxes", str(boxes), "--detector", bundle]) == 2
    assert "expected --detector or --boxes, not both" in said(capsys)
    assert run(cli, "edge-sdk", [*given, "--detector", bundle]) == 2
    assert "expected the bundle of a detector; it has task 'classify'" in said(capsys)
    simulated = ["records", "trailcam", "--data", "simulated://trailcam?frames=2", "--out", str(tmp_path)]
    assert run(cli, "edge-sdk", [*simulated, "--boxes", str(boxes)]) == 2
    assert "expected photos, for a detector or boxes" in said(capsys)


def test_why_photos_have_no_region_is_told(tmp_path: Path) -> None:
    for shot in burst_parts.shots(2):
        burst_parts.write_photo(tmp_path / "photos" / shot.label / shot.file, shot.image, None)
    source = photo_regions(open_source(str(tmp_path / "photos"), Split.ALL))
    (file,) = write_records([open_subject("trailcam").timed(1.0)], source, tmp_path)
    line = regions_line([load_records(file)])
    assert line == (
        "regions: in 0 of 6 pictures; the others are seen whole (6 have no capture time: bursts need the time and the "
        "place of each photo, as in CLASS/PLACE/x.jpg)"
    )
    assert regions_line([]) == ""
