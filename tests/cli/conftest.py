"""A small task for the workbench's commands: photos, and the network that `train` makes of them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from tiny_network import LABELS

from edge_sdk.cli import cli
from edge_sdk.terminal.command import run


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 bluish and 60 reddish photos, in folders of a path with markup in it."""
    folder = tmp_path_factory.mktemp("cli") / "pho[bold]tos"
    rng = np.random.default_rng(0)
    for label, channel in (("blue", 0), ("red", 2)):
        (folder / label).mkdir(parents=True)
        for index in range(60):
            image = rng.integers(0, 90, (48, 64, 3), np.uint8)
            image[..., channel] += 120
            cv2.imwrite(str(folder / label / f"{index:02}.png"), image)
    return folder


@pytest.fixture(scope="session")
def checkpoint(photos: Path) -> Path:
    """What one epoch of `train` gives."""
    out = photos.parent / "m.safetensors"
    given = ["--model", "lcnet_035", "--data", str(photos), "--out", str(out), "--size", "64x48", "--version", "7"]
    small = ["--epochs", "1", "--batch", "16", "--threads", "1", "--cache", str(photos.parent / "cache")]
    assert run(cli, "edge-sdk", ["train", *given, *small, "--model-option", "global_pool=avg"]) == 0
    return out


@pytest.fixture(scope="session")
def fp32_bundle(photos: Path, checkpoint: Path) -> Path:
    """The same network as a bundle, not quantised."""
    out = photos.parent / "bundle"
    given = ["--checkpoint", str(checkpoint), "--data", str(photos), "--limit", "20", "--out", str(out)]
    assert run(cli, "edge-sdk", ["export", *given, "--precision", "fp32"]) == 0
    return out


@pytest.fixture(scope="session")
def pair(photos: Path, checkpoint: Path, fp32_bundle: Path) -> list[str]:
    """Files of `records`: little, big."""
    out = photos.parent / "records"
    given = [str(fp32_bundle), str(checkpoint), "--data", str(photos), "--out", str(out)]
    assert run(cli, "edge-sdk", ["records", *given]) == 0
    return [str(path) for path in sorted(out.glob("*.npz"), reverse=True)]


@pytest.fixture(scope="session")
def class_photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 photos of each class of the tiny network, enough that every split of a folder has some."""
    root = tmp_path_factory.mktemp("class_photos")
    rng = np.random.default_rng(0)
    for channel, label in enumerate(LABELS):
        (root / label).mkdir()
        for index in range(60):
            image = rng.integers(0, 60, (36, 48, 3), np.uint8)
            image[..., channel] += 150
            cv2.imwrite(str(root / label / f"{index}.jpg"), image)
    return root
