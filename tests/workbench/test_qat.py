"""A network learns to keep its answers through int8's rounding."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from edge_sdk.errors import WorkbenchError
from edge_sdk.model.inputs import InputSpec
from edge_sdk.workbench.likeness import likeness
from edge_sdk.workbench.qat import LEARNING, _rounding, tune_checkpoint, tune_for_int8
from edge_sdk.workbench.quantise import logits_of
from edge_sdk.workbench.spent import Account

pytestmark = pytest.mark.filterwarnings("ignore")  # of the exporter's own code

DIES = """
import os
from edge_sdk.workbench.train_state import TrainState
write = TrainState.write
def write_and_die(*given):
    write(*given)
    os.kill(os.getpid(), 9)
TrainState.write = write_and_die
"""
"""A command that is killed when it has saved its state for the first time."""
SPEC = InputSpec(12, 12, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))


def network() -> nn.Module:
    """A depthwise layer whose channels differ much: int8 costs it a good deal."""
    torch.manual_seed(0)
    made = nn.Sequential(
        nn.Conv2d(3, 16, 3, 2, 1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU6(),
        nn.Conv2d(16, 16, 3, 1, 1, groups=16, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU6(),
        nn.Conv2d(16, 24, 1),
        nn.ReLU6(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(24, 5),
    )
    made.train()(torch.randn(32, 3, 12, 12))
    with torch.no_grad():
        made[4].weight.copy_(torch.exp(2.5 * torch.randn(16, generator=torch.Generator().manual_seed(3))))  # type: ignore[operator]
    return made.eval()


def rounded_error(module: nn.Module, original: nn.Module, pixels: np.ndarray) -> float:
    """How far the network's answers through int8's rounding are from the original's float ones."""
    graph, layers = _rounding(module, pixels, SPEC, lambda done, of: None)
    assert len(layers) == 4
    return likeness(logits_of(graph, pixels, SPEC), logits_of(original, pixels, SPEC)).error


@pytest.mark.slow
def test_rounded_answers_come_nearer_to_the_float_networks() -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (32, 3, 3, 3), np.uint8).repeat(4, 1).repeat(4, 2)
    module = network()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    told: list[tuple[str, int, int]] = []
    tuned = tune_for_int8(module, pixels, SPEC, epochs=8, learning_rate=3e-4, on_progress=lambda *it: told.append(it))
    assert all(torch.equal(module.state_dict()[name], value) for name, value in before.items())
    assert told[-1] == ("learning int8's rounding", 32, 32)
    assert rounded_error(tuned, module, pixels) < 0.75 * rounded_error(module, module, pixels)


def test_without_steps_of_any_size_the_network_stays() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (8, 12, 12, 3), np.uint8)
    module = network()
    tuned = tune_for_int8(module, pixels, SPEC, epochs=1, learning_rate=0.0)
    assert np.abs(logits_of(tuned, pixels, SPEC) - logits_of(module, pixels, SPEC)).max() < 1e-3


def test_pictures_are_needed() -> None:
    with pytest.raises(WorkbenchError, match="got none"):
        tune_for_int8(network(), np.empty((0, 12, 12, 3), np.uint8), SPEC)


class Stop(Exception):
    pass


def test_a_stopped_tuning_goes_on_and_ends_with_the_same_weights(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (12, 12, 12, 3), np.uint8)
    module, state, account = network(), tmp_path / "tuned.state", Account()
    whole = tune_for_int8(module, pixels, SPEC, epochs=2, batch=4, learning_rate=1e-3)

    def stop(what: str, done: int, of: int) -> None:
        if what == LEARNING and done == 4:  # one step after the epoch's end, which is saved
            raise Stop

    with pytest.raises(Stop):
        tune_for_int8(module, pixels, SPEC, epochs=2, batch=4, learning_rate=1e-3, state=state, on_progress=stop)
    with pytest.raises(WorkbenchError, match=r"epochs was 2, now 3\. Give those"):
        tune_for_int8(module, pixels, SPEC, epochs=3, batch=4, learning_rate=1e-3, state=state)
    told: list[tuple[str, int, int]] = []
    again = tune_for_int8(
        module,
        pixels,
        SPEC,
        **{"epochs": 2, "batch": 4, "learning_rate": 1e-3},  # type: ignore[arg-type]
        state=state,
        account=account,
        on_progress=lambda *it: told.append(it),
    )
    assert [done for what, done, _ in told if what == LEARNING] == [4, 5, 6]
    assert account.earlier.sessions == 1
    one, other = whole.state_dict(), again.state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert not torch.equal(one["0.weight"], module.state_dict()["0.weight"])


@pytest.mark.slow
def test_a_killed_command_goes_on_and_writes_the_same_checkpoint(tmp_path: Path) -> None:
    from edge_sdk.networks.checkpoint import load_checkpoint

    start = task(tmp_path)
    given = ["--data", str(tmp_path / "data"), "--epochs", "3", "--batch", "4", "--learning-rate", "1e-4"]
    outs = [tmp_path / name for name in ("whole.safetensors", "cut.safetensors")]
    runs = "from edge_sdk.cli import main; main()"
    commands = [
        [
            sys.executable,
            "-c",
            program,
            "train",
            "--checkpoint",
            str(start),
            "--qat",
            *given,
            "--out",
            str(out),
        ]
        for out, program in ((outs[0], runs), (outs[1], DIES + runs), (outs[1], runs))
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(commands[0], check=True, env=environment)
    state = outs[1].with_name("cut.safetensors.state")
    assert subprocess.run(commands[1], env=environment).returncode == -9
    assert state.exists() and not outs[1].exists()
    subprocess.run(commands[2], check=True, env=environment)
    assert not state.exists()
    one, other = (load_checkpoint(out)[0].state_dict() for out in outs)
    assert all(torch.equal(one[name], other[name]) for name in one)


def task(folder: Path) -> Path:
    """A small checkpoint, and pictures in FOLDER/data."""
    import cv2

    from edge_sdk.networks.checkpoint import create_model, save_checkpoint

    for label in ("a", "b"):
        (folder / "data" / label).mkdir(parents=True)
        for number in range(6):
            picture = np.random.default_rng(number).integers(0, 256, (32, 32, 3), np.uint8)
            cv2.imwrite(str(folder / "data" / label / f"{number}.png"), picture)
    spec = InputSpec(32, 32, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
    return save_checkpoint(
        folder / "float.safetensors", *create_model("mobilenetv2_035", labels=("a", "b"), input=spec)
    )


def test_a_checkpoint_is_tuned_and_written(tmp_path: Path) -> None:
    from edge_sdk.networks.checkpoint import load_checkpoint

    start = task(tmp_path)
    out = tune_checkpoint(str(start), str(tmp_path / "data"), tmp_path / "tuned.safetensors", epochs=1, version="2")
    tuned, said = load_checkpoint(out)
    assert (said.labels, said.version, said.training["tuned_for"]) == (("a", "b"), "2", "int8")
    before = load_checkpoint(start)[0].state_dict()["classifier.weight"]
    assert not torch.equal(tuned.state_dict()["classifier.weight"], before)
    assert not out.with_name(out.name + ".state").exists()
