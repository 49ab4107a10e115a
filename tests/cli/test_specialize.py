"""`edge-sdk specialize` as a user types it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import burst_parts
import little_task
import msgspec
import numpy as np
import pytest
from click.testing import CliRunner, Result

from edge_sdk.cli import cli
from edge_sdk.cli.specialize import specialize
from edge_sdk.errors import ConfigError, WorkbenchError
from edge_sdk.model.bundle import open_bundle
from edge_sdk.model.little import LittleModel
from edge_sdk.networks.checkpoint import load_checkpoint, save_checkpoint
from edge_sdk.workbench.data import open_source
from edge_sdk.workbench.labelled import Split, read_all
from edge_sdk.workbench.looks import photo_regions
from edge_sdk.workbench.specialize.report import Report
from edge_sdk.workbench.specialize.task import read_task

pytestmark = pytest.mark.filterwarnings("ignore")  # of the exporter's own code

QUICK = ("--steps", "4", "--without-control")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`big.safetensors`, `task/CLASS/*.png`, `generic/*/*.png`."""
    folder = tmp_path_factory.mktemp("place")
    save_checkpoint(folder / "big.safetensors", *little_task.trained())
    little_task.write_pictures(folder / "task", little_task.squares(8, ("red", "green", "blue"), seed=3))
    generic = little_task.noise(20)
    little_task.write_pictures(folder / "generic", type(generic)(generic.images, 0 * generic.truths, ("any",)))
    return folder


def run(place: Path, *options: str, task: str = "task") -> Result:
    given = ["--big", str(place / "big.safetensors"), "--data", str(place / task), *options]
    return CliRunner().invoke(specialize, given)


def message(done: Result) -> str:
    assert isinstance(done.exception, WorkbenchError | ConfigError), done.output
    return str(done.exception)


def test_a_folder_of_pictures_becomes_a_bundle_with_a_report(place: Path, tmp_path: Path) -> None:
    out = tmp_path / "yard"
    options = ["--shots", "4", "--target", "params=2x", "--out", str(out), "--steps", "4", "--seed", "3"]
    more = ["--unlabelled", str(place / "generic"), "--learning-rate", "0.001"]
    done = run(place, *options, *more, "--generic", str(place / "generic"), "--classes", "red, blue", "--name", "north")
    assert done.exit_code == 0, done.output
    assert "x fewer parameters" in done.output and "next: edge-sdk calibrate" in done.output
    assert "specialization gain" in done.output and ") against the big model on the task" in done.output
    manifest = open_bundle(out).manifest
    assert (manifest.name, manifest.labels) == ("north", ("red", "blue"))
    module, info = load_checkpoint(tmp_path / "yard.safetensors")
    assert info.labels == ("red", "blue") and info.parameters == sum(one.numel() for one in module.parameters())
    report = msgspec.json.decode((tmp_path / "yard-report.json").read_bytes(), type=Report)
    assert (report.pictures, report.unlabelled) == (8, 20)
    assert (report.test_pictures, report.targets, report.seed) == (8, ("params=2x",), 3)
    assert report.stages[0].parameters / info.parameters >= 2 and report.control is not None
    assert (tmp_path / "yard-report.png").stat().st_size > 10_000
    assert (tmp_path / "yard-work").is_dir()


@pytest.mark.slow
def test_kept_frames_and_a_label_map(place: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    rows = ["file,label,confidence"]
    for label, shown, confidence in (("warm", "red", 0.9), ("cold", "blue", 0.95), ("cold", "green", 0.3)):
        for number, image in enumerate(little_task.squares(5, (shown,), seed=6).images):
            samples = little_task.squares(1, (shown,))
            only = type(samples)(image[None], np.zeros(1, np.int64), (f"{shown}-{number}",))
            (path,) = little_task.write_pictures(kept, only)[f"{shown}-{number}"]
            rows.append(f"{path.relative_to(kept)},{label},{confidence}")
    rows.append("none.png,lonely,1")
    (kept / "answers.csv").write_text("\n".join(rows) + "\n")
    labels = tmp_path / "map.json"
    labels.write_text(json.dumps({"red": "warm", "yellow": "warm", "blue": "cold", "green": "cold"}))
    out = tmp_path / "yard"
    options = ["--shots", "4", "--target", "params=2x", "--out", str(out), "--labels", str(labels), *QUICK]
    done = run(place, *options, task=str(kept))
    assert done.exit_code == 0, done.output
    assert open_bundle(out).manifest.labels == ("cold", "warm")
    report = msgspec.json.decode((tmp_path / "yard-report.json").read_bytes(), type=Report)
    assert (report.pictures, report.test_pictures, report.control) == (8, 0, None)
    done = run(place, *options, "--min-confidence", "0.99", task=str(kept))
    assert "expected 4 frames of two classes or more that the cloud was sure of" in message(done)


@pytest.mark.slow
def test_a_pattern_of_zeros_needs_no_target(place: Path, tmp_path: Path) -> None:
    out = tmp_path / "yard"
    done = run(place, "--shots", "4", "--pattern", "2:4", "--out", str(out), *QUICK)
    assert done.exit_code == 0, done.output
    assert "left dense: fc (the classifier stays dense)" in done.output


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--target", "params=2x"], "expected --generic FOLDER"),
        (["--without-control"], "expected --target"),
        (["--without-control", "--target", "params=2x", "--allocation", "fair"], "Invalid value for '--allocation'"),
        (["--without-control", "--target", "params=2x", "--shots", "0"], "Invalid value for '--shots'"),
        (["--without-control", "--generic", "."], "expected --generic or --without-control, not both"),
        (["--without-control", "--target", "params=2x", "--pattern", "2:4"], "expected no --target with --pattern 2:4"),
        (["--without-control", "--schedule", "gradual", "--pattern", "2:4"], "expected --schedule once with --pattern"),
        (["--without-control", "--target", "params=2x", "--pretrained"], "expected a timm name with --pretrained"),
    ],
)
def test_bad_options_are_told(place: Path, tmp_path: Path, options: list[str], told: str) -> None:
    done = run(place, "--out", str(tmp_path / "yard"), *options)
    assert done.exit_code == 2 and told in done.output


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--target", "params=half"], "expected a target such as params=10x"),
        (["--target", "params=2x", "--shots", "9"], "expected 9 pictures of each class; blue has 8, green has 8, red"),
        (["--target", "params=2x", "--classes", "red,pink"], "expected classes among blue, green, red; got pink"),
        (["--target", "params=900x"], "expected a target that this network can reach"),
        (["--pattern", "4:2"], "N:M with N below M"),
        (["--pattern", "unstructured"], "params= as the only target of an unstructured pattern"),
    ],
)
def test_what_cannot_be_done_is_told(place: Path, tmp_path: Path, options: list[str], told: str) -> None:
    done = run(place, "--out", str(tmp_path / "yard"), "--shots", "2", *QUICK, *options)
    assert told in message(done)


def test_folders_and_maps_that_do_not_fit_are_told(place: Path, tmp_path: Path) -> None:
    common = ["--out", str(tmp_path / "yard"), "--shots", "2", "--target", "params=2x"]
    done = run(place, *common, "--generic", str(place / "generic"), "--shots", "8")
    assert "expected 24 pictures in" in message(done) and "got 20" in message(done)
    little_task.write_pictures(tmp_path / "test", little_task.squares(1, ("red", "green")))
    done = run(place, *common, *QUICK, "--test", str(tmp_path / "test"))
    assert "none of blue in" in message(done)
    (tmp_path / "task" / "pink").mkdir(parents=True)
    (tmp_path / "task" / "redd").mkdir()
    for folder in ("pink", "redd"):
        for number in range(2):
            picture = next((place / "task" / "red").iterdir()).read_bytes()
            (tmp_path / "task" / folder / f"{number}.png").write_bytes(picture)
    done = run(place, *common, *QUICK, task=str(tmp_path / "task"))
    assert "it has no 'pink', 'redd' (close: red)" in message(done)
    for text, told in (("{", "expected a JSON object"), ('["a"]', "coarse label"), ('{"red": 3}', "got 3")):
        (tmp_path / "map.json").write_text(text)
        done = run(place, *common, *QUICK, "--labels", str(tmp_path / "map.json"))
        assert told in message(done)
    (tmp_path / "map.json").write_text('{"crimson": "red"}')
    done = run(place, *common, *QUICK, "--labels", str(tmp_path / "map.json"))
    assert "in the label map; it has no 'crimson'" in message(done)


def test_the_command_is_one_of_edge_sdk() -> None:
    done = CliRunner().invoke(cli, ["specialize", "--help"])
    assert done.exit_code == 0 and "few pictures" in done.output and "params=10x" in done.output


@pytest.mark.slow
def test_a_card_of_bursts_is_specialized_and_measured_by_both_looks(place: Path, tmp_path: Path) -> None:
    seen = [replace(shot, label="red" if shot.label == "fox" else "blue") for shot in burst_parts.shots(8)]
    card = burst_parts.write_card(tmp_path / "card", seen)
    out = tmp_path / "ford"
    options = ["--shots", "4", "--target", "params=2x", "--out", str(out), "--view", "both", *QUICK]
    done = run(place, *options, task=str(card))
    assert done.exit_code == 0, done.output
    assert "regions: in " in done.output
    bundle = open_bundle(out)
    assert bundle.manifest.view == "both"
    report = msgspec.json.decode((tmp_path / "ford-report.json").read_bytes(), type=Report)
    assert (report.pictures, report.test_pictures) == (8, 16)
    pictures = photo_regions(open_source(str(card), Split.ALL))
    with LittleModel(bundle) as model:  # as the device says it of all pictures, those of the task left out
        used = {path for paths in read_task(card, 4, model.manifest.input).used.values() for path in paths}
        right = [
            model.predict(one.image, one.region).label == one.label
            for one in read_all(pictures)
            if Path(one.source) not in used
        ]
    assert report.bundle_accuracy == np.mean(right)
