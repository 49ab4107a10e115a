"""Companions of a big model, on small networks and photos."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from resnets import write_resnet
from tiny_network import LABELS

from edge_sdk.errors import WorkbenchError
from edge_sdk.workbench.companion_search import Power, _candidate, find_companions
from edge_sdk.workbench.records import RecordsInfo, from_logits


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Enough photos that every split of a folder has some."""
    root = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for channel, label in enumerate(LABELS):
        (root / label).mkdir()
        for index in range(60):
            image = rng.integers(0, 60, (36, 48, 3), np.uint8)
            image[..., channel] += 150
            cv2.imwrite(str(root / label / f"{index}.jpg"), image)
    return root


def test_companions_are_found_and_not_made_again(photos: Path, tmp_path: Path) -> None:
    big, thin = write_resnet(tmp_path / "big.safetensors", 32), write_resnet(tmp_path / "thin.safetensors", 8)
    other = write_resnet(tmp_path / "other.safetensors", 8, ("cat", "dog", "fox"))
    assert find_companions(big, [thin], str(photos), tmp_path / "out", as_float=True).ranked[0].name == "thin"
    stamp = (tmp_path / "out" / "test" / "thin.npz").stat().st_mtime_ns
    assert find_companions(big, [thin], str(photos), tmp_path / "out", as_float=True).ranked[0].name == "thin"
    assert (tmp_path / "out" / "test" / "thin.npz").stat().st_mtime_ns == stamp
    with pytest.raises(WorkbenchError, match="expected a big model with the labels of other; big has others"):
        find_companions(big, [other], str(photos), tmp_path / "out", as_float=True)
    with pytest.raises(WorkbenchError, match="expected at least one candidate"):
        find_companions(big, ["no_such_network"], str(photos), tmp_path / "out", as_float=True)


def test_a_bundle_that_was_given_has_its_size(tmp_path: Path) -> None:
    (tmp_path / "model.pte").write_bytes(b"a program")
    info = RecordsInfo(model="tiny-int8", labels=("a", "b"), served_as=str(tmp_path))
    records = from_logits(info, ["x", "y"], [0, 1], np.eye(2))
    assert _candidate(records, records, Power()).model_bytes == len(b"a program")
