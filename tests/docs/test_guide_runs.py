"""The commands of the guide "bring your own network" run, in their order, on a small network and small pictures."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
GUIDE = ROOT / "docs" / "guides" / "bring-your-own-network.md"
SMALL = {"resnet18": "lcnet_035", "convnext_tiny": "lcnet_050"}  # the same commands with networks that take seconds
PROGRAMS = {"edge-sdk": "edge_sdk.cli", "cloud-server": "cloud_server.cli"}
MORE = {"cloud-server": ["--port", "0"], "python": ["--upload-budget", "5MB/day"]}


def commands() -> list[list[str]]:
    """The commands that need neither a hub nor packages of weights, as words."""
    text = GUIDE.read_text().split("## Without weights of your own")[0]
    for name, small in SMALL.items():
        text = text.replace(name, small)
    lines = re.findall(r"^    ((?:edge-sdk|cloud-server|python) .+)$", text, re.MULTILINE)
    return [shlex.split(line) for line in lines if "--label-group" not in line]  # those name a network of a hub


def started(words: list[str], folder: Path) -> subprocess.Popen[str]:
    program, *rest = words
    if program == "python":
        given = [str(ROOT / rest[0]), *rest[1:]]
    else:
        given = ["-c", f"from {PROGRAMS[program]} import main; main()", *rest]
    command = [sys.executable, *given, *MORE.get(program, [])]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "XDG_STATE_HOME": str(folder / "state")}
    return subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)


def ran(words: list[str], folder: Path) -> str:
    with started(words, folder) as process:
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            if line.startswith("listening on"):
                process.terminate()
    assert process.returncode == 0, f"{shlex.join(words)}: {said}"
    return said


def pictures(folder: Path, count: int) -> None:
    rng = np.random.default_rng(count)
    for label, channel in (("blue", 0), ("red", 2)):
        (folder / label).mkdir(parents=True)
        for number in range(count):
            image = rng.integers(0, 90, (36, 48, 3), np.uint8)
            image[..., channel] += 120
            cv2.imwrite(str(folder / label / f"{number:03}.png"), image)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_commands_run_as_written(tmp_path: Path) -> None:
    import torch

    from edge_sdk.networks.checkpoint import create_model, load_checkpoint

    for folder, count in (("photos", 30), ("labelled-photos", 260), ("photos-to-watch", 3)):
        pictures(tmp_path / folder, count)
    (tmp_path / "names.txt").write_text("blue\nred\n")
    train = "edge-sdk train --model lcnet_035 --data labelled-photos --out big.safetensors --cache cache --threads 1"
    ran([*shlex.split(train), "--epochs", "3", "--batch", "16"], tmp_path)
    state = load_checkpoint(tmp_path / "big.safetensors")[0].state_dict()
    for name in ("lcnet_035-fine-tuned", "weights"):
        torch.save({"state_dict": state}, tmp_path / f"{name}.pth")
    torch.save(create_model("lcnet_050", labels=("blue", "red"))[0].state_dict(), tmp_path / "other.pth")
    for name in ("weights", "other"):
        (tmp_path / f"{name}.labels.txt").write_text("blue\nred\n")
    told = {words[0] + words[1]: ran(words, tmp_path) for words in commands()}
    assert {"edge-sdkimport", "edge-sdkexport", "edge-sdkrecords", "edge-sdkcalibrate", "cloud-server--model"} <= set(
        told
    )
    assert "frames answered" in told["pythonexamples/camera_loop.py"]
