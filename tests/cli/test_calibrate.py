"""`edge-sdk calibrate`."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest

from edge_sdk.cli import cli
from edge_sdk.model.bundle import open_bundle
from edge_sdk.networks.checkpoint import load_checkpoint
from edge_sdk.terminal.command import run
from edge_sdk.workbench.records import join
from edge_sdk.workbench.records_file import load_records, save_records

pytestmark = pytest.mark.filterwarnings("ignore")  # of the exporter's own code


def test_pictures_choose_a_threshold(
    photos: Path, checkpoint: Path, fp32_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    curve = tmp_path / "cur[bold]ve.png"
    given = ["--bundle", str(fp32_bundle), "--big", str(checkpoint), "--data", str(photos), "--upload", "320@70"]
    assert run(cli, "edge-sdk", ["calibrate", *given, "--drop", "0.1", "--picture", str(curve)]) == 0
    text = capsys.readouterr().out
    assert "of frames go to the cloud; with 95% confidence" in text
    assert text.splitlines()[-1] == f"wrote {curve}"
    assert curve.stat().st_size > 10_000
    policy = open_bundle(fp32_bundle).policy
    assert (policy.upload.max_side, policy.upload.quality, policy.calibration["pictures"]) == (320, 70, 120)
    assert policy.big_macs == load_checkpoint(checkpoint)[1].macs


def test_records_do_as_well(fp32_bundle: Path, pair: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--bundle", str(fp32_bundle), "--records", *pair, "--macs", "1e12"]
    assert run(cli, "edge-sdk", ["calibrate", *given]) == 0
    assert open_bundle(fp32_bundle).policy.calibration["rule"] == "macs"
    text = capsys.readouterr().out
    assert "cascade against big" in text and "(95%: " in text and "--big" not in text
    assert run(cli, "edge-sdk", ["calibrate", *given, "--big", "m"]) == 0
    assert "--big is not needed with --records" in capsys.readouterr().out


def test_a_big_model_of_unknown_cost_is_called_unknown(
    fp32_bundle: Path, pair: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    big = load_records(pair[1])
    info = msgspec.structs.replace(big.info, macs=0)
    other = str(save_records(tmp_path / "big.npz", dataclasses.replace(big, info=info, upload_bytes=None)))
    given = ["--bundle", str(fp32_bundle), "--records", pair[0], other]
    assert run(cli, "edge-sdk", ["calibrate", *given, "--drop", "0", "--picture", str(tmp_path / "curve.png")]) == 0
    text = capsys.readouterr().out
    assert "the MACs of a model are unknown" in text and "an unknown number of bytes a day" in text
    assert "nan" not in text
    assert run(cli, "edge-sdk", ["calibrate", *given, "--macs", "1e12"]) == 2
    assert "those of one are unknown" in capsys.readouterr().err
    assert run(cli, "edge-sdk", ["calibrate", *given, "--bytes-per-day", "1MB"]) == 2
    assert "these have none" in capsys.readouterr().err


def test_data_or_records(fp32_bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(cli, "edge-sdk", ["calibrate", "--bundle", str(fp32_bundle), "--big", "m"]) == 2
    assert "edge-sdk: expected either --data or --records (see" in capsys.readouterr().err
    assert run(cli, "edge-sdk", ["calibrate", "--bundle", str(fp32_bundle), "--data", "photos"]) == 2
    assert "expected --big, the model to run on --data" in capsys.readouterr().err


def test_few_labels_are_asked_and_taken(
    fp32_bundle: Path, photos: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loose = tmp_path / "loose"
    loose.mkdir()
    for path in photos.rglob("*.png"):
        shutil.copy(path, loose / f"{path.parent.name}-{path.name}")
    table = tmp_path / "ask.csv"
    given = ["calibrate", "--bundle", str(fp32_bundle), "--eps", "0.3"]
    big = ["--big", str(checkpoint), "--data", str(loose)]
    assert run(cli, "edge-sdk", [*given, *big, "--ask", str(table)]) == 0
    text = capsys.readouterr().out
    assert f"wrote {table}: " in text and "of 120 frames" in text
    command = text.splitlines()[-1].split()
    assert command[:2] == ["edge-sdk", "calibrate"] and command[-1] == str(table)
    assert run(cli, "edge-sdk", [*command[1:], "--eps", "0.3"]) == 0
    text = capsys.readouterr().out
    assert "cascade against big" in text and "answers were used" in text
    facts = open_bundle(fp32_bundle).policy.calibration
    assert facts["rule"] == "eps" and "answers" in facts and "big_accuracy" not in facts
    assert run(cli, "edge-sdk", [*command[1:], "--drop", "0"]) == 2
    assert "expected a rule with a guarantee" in capsys.readouterr().err
    assert run(cli, "edge-sdk", [*command[1:], "--ask", str(table)]) == 2
    assert "expected one of --ask, --answers and --picture" in capsys.readouterr().err


def test_visits_get_a_rule_of_their_own(
    fp32_bundle: Path, pair: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files: list[str] = []
    for path in pair:
        one = load_records(path)
        count = len(one)
        places = np.array([f"place {row % 60 // 3}" for row in range(count)])
        times = np.array([1000.0 * (row // 3) + row % 3 for row in range(count)])
        info = msgspec.structs.replace(one.info, view="both" if not files else "region")
        visits = dataclasses.replace(one, info=info, places=places, times=times)
        files.append(str(save_records(tmp_path / Path(path).name, visits)))
    given = ["calibrate", "--bundle", str(fp32_bundle), "--records", *files, "--drop", "0.5"]
    curve = tmp_path / "curve.png"
    assert run(cli, "edge-sdk", [*given, "--picture", str(curve)]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "frames: 120 of 120, since those of a visit look alike" in text
    bundle = open_bundle(fp32_bundle)
    assert bundle.manifest.view == "both" and bundle.policy.send == "region"
    facts = bundle.policy.calibration
    assert bundle.policy.events is not None and facts["events"] == 40 and facts["event_places"] == 20
    assert "Events: at T = " in text and curve.stat().st_size > 10_000
    assert run(cli, "edge-sdk", [*given, "--per", "frame"]) == 0
    assert open_bundle(fp32_bundle).policy.events is None
    assert run(cli, "edge-sdk", [*given, "--event-eps", "0.001"]) == 0
    assert "visits have no rule and are answered frame by frame: " in " ".join(capsys.readouterr().out.split())
    assert run(cli, "edge-sdk", [*given, "--per", "event", "--event-eps", "0.001"]) == 2
    assert "cannot promise" in capsys.readouterr().err
    assert run(cli, "edge-sdk", [*given, "--per", "frame", "--event-eps", "0.1"]) == 2
    assert run(cli, "edge-sdk", [*given, "--view", "both"]) == 2
    assert "give them to `edge-sdk records`" in capsys.readouterr().err


def test_frames_with_a_region_get_a_rule_of_their_own(
    fp32_bundle: Path, pair: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files: list[str] = []
    for path in pair:
        one = load_records(path)
        parts = (dataclasses.replace(one, ids=np.array([f"{part} {row}" for row in one.ids])) for part in range(4))
        many = join(list(parts))
        info = msgspec.structs.replace(one.info, view="region")
        many = dataclasses.replace(many, info=info, near=np.arange(len(many)) % 2 == 0)
        files.append(str(save_records(tmp_path / Path(path).name, many)))
    given = ["calibrate", "--bundle", str(fp32_bundle), "--records", *files, "--drop", "0.5", "--per", "frame"]
    curve = tmp_path / "curve.png"
    assert run(cli, "edge-sdk", [*given, "--picture", str(curve)]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "Frames seen whole: At T = " in text and "Frames with a region: At T = " in text
    policy = open_bundle(fp32_bundle).policy
    assert policy.regions is not None and policy.regions.agreement is not None and curve.stat().st_size > 10_000
    assert run(cli, "edge-sdk", ["info", str(fp32_bundle)]) == 0
    assert "rule, region" in " ".join(capsys.readouterr().out.split())
    assert run(cli, "edge-sdk", [*given, "--regions-only", "--no-gate"]) == 0
    after = open_bundle(fp32_bundle).policy
    assert after.of_look(False).threshold == policy.threshold and after.regions is not None
    assert after.calibration["rule"] == "drop" and after.calibration["region_pictures"] == 240
    for wrong in (["--ask", str(tmp_path / "ask.csv")], ["--taxonomy", str(tmp_path / "none.json")]):
        assert run(cli, "edge-sdk", [*given, "--regions-only", *wrong]) == 2
        capsys.readouterr()
