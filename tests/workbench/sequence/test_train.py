"""Features are collected once; a stopped training continues."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from sequence_parts import LABELS, features, made
from tiny_network import write_tiny_bundle

from edge_sdk.errors import WorkbenchError
from edge_sdk.images.rendition import Upload
from edge_sdk.model.little import LittleModel
from edge_sdk.workbench.data import open_source
from edge_sdk.workbench.labelled import Split
from edge_sdk.workbench.sequence.train import (
    collect_features,
    train_exits,
)


def test_a_training_that_was_stopped_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    class Stop(Exception):
        pass

    def stop(epoch: int, epochs: int, loss: float) -> None:
        if epoch == 2:
            raise Stop

    data = features(made(), 300)
    straight, resumed = made(), made()
    train_exits(straight, data, epochs=4)
    with pytest.raises(Stop):
        train_exits(resumed, data, epochs=4, state=tmp_path / "state", on_epoch=stop)
    with pytest.raises(WorkbenchError, match="other settings"):
        train_exits(made(), data, epochs=5, state=tmp_path / "state")
    again = made()
    train_exits(again, data, epochs=4, state=tmp_path / "state")
    assert not (tmp_path / "state").exists()
    for one, two in zip(straight.exits.parameters(), again.exits.parameters(), strict=True):
        assert torch.equal(one, two)


def test_features_are_collected_once(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for label in LABELS:
        (tmp_path / "photos" / label).mkdir(parents=True)
        for index in range(3):
            cv2.imwrite(str(tmp_path / "photos" / label / f"{index}.png"), rng.integers(0, 255, (40, 50, 3), np.uint8))
    source = open_source(str(tmp_path / "photos"), Split.ALL)
    model = made()
    with LittleModel(write_tiny_bundle(tmp_path / "tiny")) as little:
        data = collect_features(model, little, source, tmp_path / "kept", upload=Upload(64, 80))
        files = list((tmp_path / "kept").rglob("*.npz"))
        stamp = files[0].stat().st_mtime_ns
        again = collect_features(model, little, source, tmp_path / "kept", upload=Upload(64, 80))
    assert len(data) == 9 and np.array_equal(data.big, again.big)
    assert data.truths.tolist() == [0] * 3 + [1] * 3 + [2] * 3
    assert files[0].stat().st_mtime_ns == stamp
