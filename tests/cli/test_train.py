"""`edge-sdk train`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from edge_sdk.cli import cli
from edge_sdk.networks.checkpoint import load_checkpoint
from edge_sdk.terminal.command import run
from edge_sdk.workbench.train_state import TrainState

pytestmark = pytest.mark.filterwarnings("ignore")  # of torch


def test_photos_become_a_checkpoint(checkpoint: Path) -> None:
    info = load_checkpoint(checkpoint)[1]
    assert (info.options, info.version, info.labels) == ({"global_pool": "avg"}, "7", ("blue", "red"))
    assert not checkpoint.with_name("m.safetensors.state").exists()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--size", "12"], "WIDTHxHEIGHT"),
        (["--model-option", "pool"], "NAME=VALUE"),
        ([], "--model or --checkpoint"),
        (["--model", "m", "--precision", "bf16"], "Invalid value for '--precision'"),
        (["--model", "m", "--out", "/dev/null/m.safetensors"], "/dev/null is not a folder"),
        (["--checkpoint", __file__, "--pretrained"], "expected --pretrained or --checkpoint, not both"),
        (["--checkpoint", __file__, "--model-option", "a=1"], "expected --model-option or --checkpoint, not both"),
        (["--checkpoint", __file__, "--teacher", __file__, "--deferral"], "expected --teacher or --deferral"),
        (["--model", "m", "--deferral"], "expected --checkpoint with --deferral"),
        (["--model", "m", "--qat"], "expected --checkpoint with --qat"),
        (["--checkpoint", __file__, "--qat", "--teacher", __file__], "expected --qat or --teacher, not both"),
        (["--model", "m", "--teacher-weight", "0.5"], "expected --teacher with --teacher-weight"),
    ],
)
def test_bad_options_are_told(
    tmp_path: Path, options: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    needed = ["--data", str(tmp_path), "--out", str(tmp_path / "m.safetensors")]
    assert run(cli, "edge-sdk", ["train", *needed, *options]) == 2
    said = capsys.readouterr().err
    assert told in said and said.startswith("edge-sdk: ") and said.count("\n") == 1


def test_a_checkpoint_is_tuned_for_int8(
    photos: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "tuned.safetensors"
    given = ["--qat", "--checkpoint", str(checkpoint), "--data", str(photos), "--out", str(out), "--epochs", "1"]
    assert run(cli, "edge-sdk", ["train", *given]) == 0
    assert load_checkpoint(out)[1].training["tuned_for"] == "int8"
    assert "export it with" in capsys.readouterr().out


def test_ctrl_c_ends_with_what_was_done(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "m.safetensors"
    given = ["--model", "lcnet_035", "--data", str(photos), "--out", str(out), "--size", "64x48", "--threads", "1"]
    more = ["--epochs", "100000", "--batch", "16", "--cache", str(tmp_path / "cache"), "--workers", "2"]
    command = [sys.executable, "-P", "-m", "edge_sdk", "train", *given, *more]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        next(line for line in process.stdout if line.startswith("epoch 1:"))
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: also to the processes that prepare pictures
        errors = process.communicate()[1]
    assert process.returncode == 130
    assert errors.startswith("edge-sdk: stopped: ") and errors.count("\n") == 1
    assert "steps done" in errors and "the same command continues" in errors


def test_a_stopped_training_is_finished_and_the_sessions_are_counted(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "m.safetensors"
    given = ["--model", "lcnet_035", "--data", str(photos), "--out", str(out), "--size", "64x48", "--threads", "1"]
    more = ["--epochs", "2", "--batch", "16", "--cache", str(tmp_path / "cache"), "--workers", "1"]

    write = TrainState.write

    def write_and_stop(state: TrainState, path: Path) -> None:
        write(state, path)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(TrainState, "write", write_and_stop)
        assert run(cli, "edge-sdk", ["train", *given, *more]) == 130
    assert "with --finish-now it writes what was saved last" in capsys.readouterr().err
    assert run(cli, "edge-sdk", ["train", *given, *more, "--finish-now"]) == 0
    said = capsys.readouterr().out
    assert "threads: 1 (as asked)" in said and " s in 2 sessions, at most" in said
    assert f"continues the training from {out}.state" in said
    assert load_checkpoint(out)[1].training["steps"] == "5 of 10"
