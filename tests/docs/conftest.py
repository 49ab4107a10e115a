"""What the tests of the docs share: the pages, and what a reader of them has at hand."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import cv2
import pytest

from cloud_server.local import start_local_server
from edge_sdk.camera import open_camera
from edge_sdk.security.certificates import Authority

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="session")
def cloud() -> Iterator[str]:
    """The address of a real cloud server on this machine, with the shipped big model."""
    with start_local_server() as target:
        yield target


@pytest.fixture(scope="session")
def belongings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the pages take for granted: photos in class folders, a clip, a big model, keys."""
    folder = tmp_path_factory.mktemp("reader")
    frames = list(open_camera("simulated://trailcam?seed=3&frames=60"))
    for number, frame in enumerate(frames[:12]):
        home = folder / "photos" / (frame.truth or "empty")
        home.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(home / f"{number}.jpg"), cv2.cvtColor(frame.image, cv2.COLOR_RGB2BGR))
    shutil.copy(next((folder / "photos").rglob("*.jpg")), folder / "photo.jpg")
    height, width = frames[0].image.shape[:2]
    clip = cv2.VideoWriter(str(folder / "clip.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 10.0, (width, height))
    for frame in frames:
        clip.write(cv2.cvtColor(frame.image, cv2.COLOR_RGB2BGR))
    clip.release()
    shutil.copy(ROOT / "cloud_server" / "models" / "trailcam" / "model.safetensors", folder / "big.safetensors")
    shutil.copytree(ROOT / "edge_sdk" / "models" / "trailcam", folder / "my-bundle")
    authority = Authority(folder)
    authority.issue_device("cam-1")
    token = folder / "cam-1.token"
    token.touch(mode=0o600)
    token.write_text("0" * 64)
    return folder
