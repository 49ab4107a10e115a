"""Settings of a training."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_sdk.errors import WorkbenchError
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


@pytest.mark.parametrize("changes", [{"epochs": 0}, {"batch": 0}, {"height": None}])
def test_settings_that_make_no_sense_are_refused(tmp_path: Path, changes: dict[str, object]) -> None:
    with pytest.raises(WorkbenchError, match="expected"):
        config(tmp_path, tmp_path / "m.safetensors", **changes)


def test_the_output_is_a_safetensors_file(tmp_path: Path) -> None:
    with pytest.raises(WorkbenchError, match="safetensors"):
        config(tmp_path, tmp_path / "m.pt")
