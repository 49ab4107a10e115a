import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from rich.console import Console

from edge_sdk.model.bundle import open_bundle
from edge_sdk.networks.checkpoint import load_checkpoint
from edge_sdk.workbench.commands.calibrate import calibrate
from edge_sdk.workbench.commands.models import export, train
from edge_sdk.workbench.commands.options import progress_bars
from edge_sdk.workbench.commands.records import cascade, records

pytestmark = pytest.mark.filterwarnings("ignore")  # of the exporter's own code


def test_photos_become_a_calibrated_bundle(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    photos = tmp_path / "photos"
    for label, channel in (("blue", 0), ("red", 2)):
        (photos / label).mkdir(parents=True)
        for index in range(60):
            image = rng.integers(0, 90, (48, 64, 3), np.uint8)
            image[..., channel] += 120
            cv2.imwrite(str(photos / label / f"{index}.png"), image)
    weights, bundle = tmp_path / "m.safetensors", tmp_path / "bundle"
    run = CliRunner()
    given = ["--model", "lcnet_035", "--data", str(photos), "--out", str(weights), "--size", "64x48"]
    options = ["--epochs", "1", "--batch", "16", "--threads", "1", "--version", "7", "--cache", str(tmp_path / "cache")]
    done = run.invoke(train, [*given, *options, "--model-option", "global_pool=avg"], catch_exceptions=False)
    assert done.exit_code == 0 and "epoch 1" in done.output
    assert load_checkpoint(weights)[1].options == {"global_pool": "avg"}
    done = run.invoke(
        export,
        ["--checkpoint", str(weights), "--images", str(photos), "--limit", "20", "--out", str(bundle), "--fp32"],
        catch_exceptions=False,
    )
    assert done.exit_code == 0 and "agreement" in done.output
    assert open_bundle(bundle).manifest.version == "7"
    drawn = ("--drop", "0.1", "--picture", str(tmp_path / "curve.png"))
    done = run.invoke(
        calibrate,
        [*("--bundle", str(bundle), "--big", str(weights), "--data", str(photos), "--quality", "70"), *drawn],
        catch_exceptions=False,
    )
    assert done.exit_code == 0 and "of frames go to the cloud; with 95% confidence" in done.output
    assert (tmp_path / "curve.png").stat().st_size > 10_000
    policy = open_bundle(bundle).policy
    assert (policy.upload.quality, policy.calibration["pictures"]) == (70, 120)
    assert policy.big_macs == load_checkpoint(weights)[1].macs
    kept = tmp_path / "records"
    done = run.invoke(records, [str(bundle), str(weights), "--data", str(photos), "--out", str(kept)])
    assert done.exit_code == 0 and "120" in done.output
    pair = [str(path) for path in sorted(kept.glob("*.npz"), reverse=True)]
    assert len(pair) == 2
    done = run.invoke(calibrate, ["--bundle", str(bundle), "--big", "m", "--records", *pair, "--macs", "1e12"])
    assert done.exit_code == 0, done.output
    assert open_bundle(bundle).policy.calibration["rule"] == "macs"
    done = run.invoke(cascade, [*pair, "--judge", pair[0], "--judge", pair[1]])
    assert done.exit_code == 0 and "elsewhere" in done.output and "0.5 points" in done.output
    done = run.invoke(calibrate, ["--bundle", str(bundle), "--big", "m"])
    assert done.exit_code == 2 and "either --data or --records" in done.output
    done = run.invoke(export, ["--model", "resnet18", "--checkpoint", str(weights), "--images", "x", "--out", "y"])
    assert done.exit_code == 2 and "is a lcnet_035" in done.output


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--size", "12"], "WIDTHxHEIGHT"),
        (["--model-option", "pool"], "NAME=VALUE"),
        ([], "--model or --checkpoint"),
    ],
)
def test_bad_options_are_told(tmp_path: Path, options: list[str], message: str) -> None:
    needed = ["--data", str(tmp_path), "--out", str(tmp_path / "m.safetensors")]
    done = CliRunner().invoke(train, [*needed, *options])
    assert done.exit_code == 2 and message in done.output


def test_a_log_gets_a_line_of_progress_every_half_minute() -> None:
    now = 0.0
    console = Console(file=io.StringIO(), width=80)
    with progress_bars(console) as bars:
        bars.get_time = lambda: now
        distillation, pictures = bars.add_task("distillation", total=600), bars.add_task("pictures", total=None)
        for done in range(0, 600, 100):
            bars.update(distillation, completed=done)
            now += 20
        bars.update(pictures, completed=5)
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue().splitlines() == [
        "distillation: 200 of 600, 0:01:20 left",
        "distillation: 400 of 600, 0:00:40 left",
        "pictures: 5",
    ]
