import os
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest
import torch

from edge_sdk.errors import WorkbenchError
from edge_sdk.networks.checkpoint import load_checkpoint
from edge_sdk.workbench.spent import Account
from edge_sdk.workbench.train import Progress, train
from edge_sdk.workbench.train_config import TrainConfig

MODEL = "lcnet_035"


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for label, channel in (("blue", 0), ("red", 2)):
        (root / label).mkdir()
        for index in range(60):
            image = rng.integers(0, 90, (48, 64, 3), np.uint8)
            image[..., channel] += 120
            cv2.imwrite(str(root / label / f"{index}.png"), image)
    return root


def config(photos: Path, out: Path, **changes: object) -> TrainConfig:
    settings = {
        "model": MODEL,
        "width": 64,
        "height": 48,
        "epochs": 2,
        "batch": 16,
        "threads": 1,
        "save_every": 2,
        "augment": 0.3,
    }
    return TrainConfig(data=str(photos), out=out, **{**settings, **changes})  # type: ignore[arg-type]


def weights(path: Path) -> dict[str, torch.Tensor]:
    return load_checkpoint(path)[0].state_dict()


PROGRAM = """
import msgspec, sys
from pathlib import Path
from edge_sdk.workbench.train_config import TrainConfig
from edge_sdk.workbench.spent import Account
from edge_sdk.workbench.train import train
settings = msgspec.json.decode(sys.argv[1])
settings["out"] = Path(settings["out"])
config = TrainConfig(**settings)
def tell(now):
    if now.accuracy is not None:
        print(now.step, flush=True)
train(config, cache=Path(sys.argv[2]), on_progress=tell)
"""


def test_training_learns_and_says_what_it_did(photos: Path, tmp_path: Path) -> None:
    seen: list[Progress] = []
    slow_start = {"average": 0.8, "augment": 0.0, "learning_rate": 5e-4}
    out = tmp_path / "m.safetensors"
    settings = config(photos, out, epochs=6, batch=8, model="resnet10t", version="1.0", **slow_start)
    path = train(settings, cache=tmp_path, on_progress=seen.append)
    _, info = load_checkpoint(path)
    assert (info.labels, info.version, info.input.width, info.input.height) == (("blue", "red"), "1.0", 64, 48)
    assert info.training["validation_accuracy"] > 0.9
    assert seen[-1].step == seen[-1].steps and seen[-1].epoch == 6
    assert not path.with_name(path.name + ".state").exists()


def test_a_killed_training_goes_on_and_ends_with_the_same_weights(photos: Path, tmp_path: Path) -> None:
    whole = train(config(photos, tmp_path / "whole.safetensors"), cache=tmp_path)
    cut = config(photos, tmp_path / "cut.safetensors")
    settings = {**msgspec.structs.asdict(cut), "out": str(cut.out)}
    command = [sys.executable, "-c", PROGRAM, msgspec.json.encode(settings).decode(), str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert process.stdout is not None
    first = process.stdout.readline()  # the first epoch is done and saved
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert first and not cut.out.exists()
    assert cut.out.with_name("cut.safetensors.state").exists()
    steps: list[int] = []
    train(cut, cache=tmp_path, on_progress=lambda now: steps.append(now.step))
    assert min(steps) > int(first)
    one, other = weights(whole), weights(cut.out)
    assert all(torch.equal(one[name], other[name]) for name in one)


class Stop(Exception):
    """Ends a training."""


def stop_after_an_epoch(now: Progress) -> None:
    if now.accuracy is not None:
        raise Stop


def test_a_state_of_other_settings_is_refused_and_what_changed_is_named(photos: Path, tmp_path: Path) -> None:
    settings = config(photos, tmp_path / "m.safetensors")
    with pytest.raises(Stop):
        train(settings, cache=tmp_path, on_progress=stop_after_an_epoch)
    changed = msgspec.structs.replace(settings, learning_rate=1e-4, epochs=3)
    with pytest.raises(WorkbenchError, match=r"epochs was 2, now 3; learning_rate was 0.002, now 0.0001. Give those"):
        train(changed, cache=tmp_path)


def test_a_stopped_training_can_be_finished_and_still_be_continued(photos: Path, tmp_path: Path) -> None:
    whole = train(config(photos, tmp_path / "whole.safetensors"), cache=tmp_path)
    settings = config(photos, tmp_path / "m.safetensors")
    with pytest.raises(WorkbenchError, match="a training that was begun"):
        train(settings, cache=tmp_path, finish_now=True)
    with pytest.raises(Stop):
        train(settings, cache=tmp_path, on_progress=stop_after_an_epoch)
    seen: list[tuple[int, int]] = []
    account = Account()
    early = train(
        settings, cache=tmp_path, finish_now=True, account=account, on_validated=lambda *done: seen.append(done)
    )
    facts = load_checkpoint(early)[1].training
    assert facts["steps"] == "5 of 10" and 0 <= facts["validation_accuracy"] <= 1
    assert seen[-1][0] == seen[-1][1] > 0
    assert account.now().sessions == 2 and account.earlier.seconds > 0
    assert "steps" not in load_checkpoint(train(settings, cache=tmp_path))[1].training
    one, other = weights(whole), weights(early)
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert not early.with_name(early.name + ".state").exists()


def test_tuning_for_deferral_starts_from_a_checkpoint_and_says_so(photos: Path, tmp_path: Path) -> None:
    start = train(config(photos, tmp_path / "m.safetensors"), cache=tmp_path)
    tuned = train(config(photos, tmp_path / "t.safetensors", model=str(start), epochs=1, deferral=0.3), cache=tmp_path)
    facts = load_checkpoint(tuned)[1].training
    assert (facts["deferral"], facts["from"]) == (0.3, "m.safetensors")


def test_a_teacher_is_learnt_from_and_must_know_the_same_classes(photos: Path, tmp_path: Path) -> None:
    teacher = train(config(photos, tmp_path / "teacher.safetensors", width=96, height=72, epochs=1), cache=tmp_path)
    pupil = train(config(photos, tmp_path / "pupil.safetensors", epochs=1, teacher=str(teacher)), cache=tmp_path)
    assert load_checkpoint(pupil)[1].training["teacher"] == "teacher.safetensors"
    other = photos.parent / "other"
    (other / "green").mkdir(parents=True, exist_ok=True)
    for index in range(40):
        cv2.imwrite(str(other / "green" / f"{index}.png"), np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(WorkbenchError, match="teacher with the data's classes"):
        train(config(other, tmp_path / "x.safetensors", teacher=str(teacher)), cache=tmp_path)


def test_a_view_is_learnt_measured_and_remembered(tmp_path: Path) -> None:
    address = "simulated://trailcam?seed=3&frames=24"
    out = tmp_path / "both.safetensors"
    settings = TrainConfig(
        data=address, out=out, model=MODEL, width=64, height=48, epochs=1, batch=8, threads=1, view="both"
    )
    validated: list[int] = []
    train(settings, cache=tmp_path, on_validated=lambda _, of: validated.append(of))
    info = load_checkpoint(out)[1]
    assert info.view == "both" and int(info.training["pictures"]) > 36  # most frames have a region
    assert set(validated) == {48}
    more = msgspec.structs.replace(settings, model=str(out), out=tmp_path / "more.safetensors", view=None)
    assert load_checkpoint(train(more, cache=tmp_path))[1].view == "both"
