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
    ],
)
def test_bad_options_are_told(
    tmp_path: Path, options: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    needed = ["--data", str(tmp_path), "--out", str(tmp_path / "m.safetensors")]
    assert run(cli, "edge-sdk", ["train", *needed, *options]) == 2
    said = capsys.readouterr().err
    assert told in said and said.startswith("edge-sdk: ") and said.count("\n") == 1


def test_ctrl_c_ends_with_what_was_done(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "m.safetensors"
    given = ["--model", "lcnet_035", "--data", str(photos), "--out", str(out), "--size", "64x48", "--threads", "1"]
    more = ["--epochs", "100000", "--batch", "16", "--cache", str(tmp_path / "cache"), "--workers", "2"]
    command = [sys.executable, "-P", "-m", "edge_sdk", "train", *given, *more]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()  # the end of the first epoch
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: also to the processes that prepare pictures
        errors = process.communicate(timeout=120)[1]
    assert process.returncode == 130
    assert errors.startswith("edge-sdk: stopped: ") and errors.count("\n") == 1
    assert "steps done" in errors and "the same command continues" in errors
