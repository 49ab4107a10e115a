"""An image of the cloud server, built by one of deploy/Dockerfile.*, in a container as the compose file runs it.

    EDGE_SDK_IMAGE=cloud-server:cpu pytest -m slow tests/test_images.py

The container has no network but its own loopback, on which a device in it reaches the server.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

IMAGE = os.environ.get("EDGE_SDK_IMAGE", "")
ENGINE = shutil.which("podman") or shutil.which("docker") or ""
SERVICE = yaml.safe_load((Path(__file__).parent.parent / "deploy" / "compose.yaml").read_text())["services"]["server"]
GRACE_S = int(SERVICE["stop_grace_period"].removesuffix("s"))
CONFINED = [
    "--read-only",
    *(f"--tmpfs={place}" for place in SERVICE["tmpfs"]),
    *(f"--cap-drop={name}" for name in SERVICE["cap_drop"]),
    *(f"--security-opt={option.removesuffix(':true')}" for option in SERVICE["security_opt"]),
]
DEVICE = """
import json
from edge_sdk import EdgeClassifier, open_camera

with EdgeClassifier("trailcam", cloud="127.0.0.1:50051", threshold=1.01) as edge:
    for frame in open_camera("simulated://trailcam?seed=1&frames=5"):
        edge.classify(frame, wait_s=60)
    print(json.dumps({"answered": edge.usage.answers_cloud}))
"""
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not IMAGE, reason="needs an image: EDGE_SDK_IMAGE=cloud-server:cpu, built by deploy/Dockerfile.cpu"
    ),
    pytest.mark.skipif(not ENGINE, reason="needs podman or docker"),
]


def engine(*words: str, given: str | None = None) -> str:
    done = subprocess.run([ENGINE, *words], input=given, capture_output=True, text=True)
    assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
    return done.stdout.strip()


def described() -> dict[str, Any]:
    """What the engine tells of the image."""
    found: dict[str, Any] = json.loads(engine("image", "inspect", IMAGE))[0]
    return found


def health_check() -> list[str]:
    """The command of the image's health check; podman names it beside the image's config, docker in it."""
    found = described()
    check = found.get("Healthcheck") or found["Config"].get("Healthcheck")
    assert check, "the image has no health check: podman and buildah keep one with --format docker alone"
    words: list[str] = check["Test"]
    return words[1:]


@contextmanager
def running(volume: str, *command: str) -> Iterator[str]:
    """A container that is ready, as its own health check says."""
    mount = f"--volume={volume}:/var/lib/cloud-server"
    name = engine("run", "--detach", "--network=none", "--no-healthcheck", *CONFINED, mount, IMAGE, *command)
    try:
        engine("exec", name, "sh", "-c", f"until {shlex.join(health_check())}; do sleep 0.2; done 2>/dev/null")
        yield name
    finally:
        engine("rm", "--force", name)


@pytest.fixture
def volume() -> Iterator[str]:
    name = engine("volume", "create")
    yield name
    engine("volume", "rm", "--force", name)


def ended(name: str) -> int:
    """Stop a container as an engine does: SIGTERM, and SIGKILL after the compose file's grace. Its exit code."""
    engine("stop", f"--time={GRACE_S}", name)
    return int(engine("inspect", "--format", "{{.State.ExitCode}}", name))


def test_a_confined_container_answers_a_device_ends_in_time_and_keeps_its_state(volume: str) -> None:
    with running(volume) as name:
        assert engine("exec", name, "id", "-u") == "10001"
        assert engine("exec", name, "sh", "-c", "touch /opt/x 2>/dev/null || echo read-only") == "read-only"
        found = engine("exec", "--interactive", "--env=XDG_STATE_HOME=/tmp", name, "python", "-", given=DEVICE)
        assert json.loads(found.splitlines()[-1])["answered"] == 5
        add = ("cloud-server", "admin", "user", "add", "ada", "--role", "operate", "--password-stdin")
        engine("exec", "--interactive", name, *add, given="a long password\n")
        assert ended(name) == 0
    with running(volume) as name:
        assert "ada" in engine("exec", name, "cloud-server", "admin", "user", "list")
        assert ended(name) == 0


def test_a_model_is_converted_once(volume: str) -> None:
    options = described()["Config"]["Cmd"]
    ask = "import importlib.util; print(importlib.util.find_spec('openvino') is not None)"
    alone = ("run", "--rm", "--network=none", "--no-healthcheck", "--entrypoint=python")
    if engine(*alone, IMAGE, "-c", ask) == "False":
        pytest.skip("the image has no OpenVINO")
    times = []
    for _ in range(2):
        with running(volume, *options, "--engine", "openvino") as name:
            find = (
                "import pathlib; print(*(p.stat().st_mtime_ns for p in pathlib.Path('/var/lib').rglob('network.bin')))"
            )
            times.append(engine("exec", name, "python", "-c", find))
            assert ended(name) == 0
    assert times[0] == times[1] != ""
