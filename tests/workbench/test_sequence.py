"""Exit sequences: taps, network, training, search, and what the server makes of them."""

from __future__ import annotations

from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_network import write_tiny_bundle

from cloud_server.model.big import load_model
from edge_sdk.errors import WorkbenchError
from edge_sdk.images.rendition import Upload
from edge_sdk.model.bundle import InputSpec
from edge_sdk.model.little import LittleModel
from edge_sdk.networks.checkpoint import create_model
from edge_sdk.networks.sequence import SequenceModel, attach_exits
from edge_sdk.networks.sequence_file import is_sequence, load_sequence, save_sequence
from edge_sdk.networks.taps import find_taps, pooled
from edge_sdk.workbench.data import open_source
from edge_sdk.workbench.labelled import Split
from edge_sdk.workbench.sequence.search import find_exits, stages, with_exits
from edge_sdk.workbench.sequence.train import (
    Features,
    collect_features,
    exit_logits,
    fit_temperatures,
    train_exits,
)

LABELS = ("deer", "empty", "fox")
SPEC = InputSpec(64, 64, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def made(arch: str = "resnet10t", labels: tuple[str, ...] = LABELS, spec: InputSpec = SPEC) -> SequenceModel:
    torch.manual_seed(0)
    options = {"channels": [8, 16, 24, 32], "stem_width": 8} if arch == "resnet10t" else {}
    big, info = create_model(arch, labels=labels, input=spec, options=options)
    taps = find_taps(big, spec.width, spec.height, most=3)
    return attach_exits(big, info, taps, labels[::-1], dim=16, heads=2)


def features(model: SequenceModel, count: int = 400, seed: int = 0) -> Features:
    """Features that say more from exit to exit, and a little model that is right on half."""
    rng = np.random.default_rng(seed)
    truths = rng.integers(0, 3, count)

    def hinting(width: int, strength: float) -> np.ndarray:
        found = rng.normal(0, 1, (count, width)).astype(np.float32)
        found[np.arange(count), truths] += strength
        return found

    exits = tuple(hinting(c, 2.0 * (i + 1)) for i, c in enumerate(model.info.channels))
    big = hinting(3, 6.0)
    logits = hinting(3, 1.0)
    chances = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return Features(exits, big, chances[:, ::-1].copy(), truths)


@pytest.mark.parametrize(
    ("arch", "size"),
    [("resnet10t", 64), ("mobilenetv3_small_050", 64), ("convnext_atto", 64), ("vit_tiny_patch16_224", 64)],
)
def test_convolutional_and_transformer_networks_are_tapped(arch: str, size: int) -> None:
    spec = InputSpec(size, size, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    model = made(arch, spec=spec)
    info = model.info
    assert len(info.modules) >= 2
    assert sum(info.way_macs) == pytest.approx(info.big.macs, rel=0.01)
    assert all(cost > 0 for cost in (*info.way_macs, *info.exit_macs))
    inputs = torch.randn(4, 3, 64, 64)
    found, logits = model.features(inputs)
    assert [tuple(one.shape) for one in found] == [(4, c) for c in info.channels]
    with torch.inference_mode():
        assert torch.allclose(logits, model.big(inputs).float(), atol=1e-5)


def test_frames_leave_one_by_one_and_the_rest_are_answered_as_if_alone() -> None:
    model = made()
    train_exits(model, features(model), epochs=1)
    inputs = torch.randn(12, 3, 64, 64)
    little = torch.rand(12, 3).softmax(1)
    found, logits = model.features(inputs)
    with torch.inference_mode():
        every = model.exits(found, model.little_logits(little)).softmax(2).amax(2)
    level = float(every.median())
    info = model.info
    model = SequenceModel(
        model.big, model.exits, msgspec.structs.replace(info, thresholds=(level,) * len(info.modules))
    )
    said = model.run(inputs, little)
    assert len(set(said.exits.tolist())) > 1
    for row in range(12):
        sure = (every[row] >= level).nonzero().flatten()
        where = int(sure[0]) if len(sure) else len(info.modules)
        assert int(said.exits[row]) == where
        spent = sum(info.way_macs[: where + 1]) + sum(info.exit_macs[: min(where + 1, len(info.modules))])
        assert int(said.macs[row]) == spent
        alone = model.run(inputs[row : row + 1], little[row : row + 1])
        assert torch.allclose(alone.probabilities[0], said.probabilities[row], atol=1e-4)
        if where == len(info.modules):
            assert torch.allclose(said.probabilities[row], logits[row].softmax(0), atol=1e-4)
    none = model.run(inputs, little, torch.zeros(12, dtype=torch.bool))
    assert torch.allclose(none.probabilities, logits.softmax(1), atol=1e-4)


def test_exits_learn_what_the_little_model_lacks_and_a_search_uses_them() -> None:
    model = made()
    train, calibration, test = (features(model, 1500, seed) for seed in range(3))
    before = exit_logits(model, test)
    little = test.little[:, ::-1].argmax(1)
    assert (before[:, 0].argmax(1) == little).all()  # untrained, an exit answers as the little model does
    train_exits(model, train, epochs=15)
    accuracy = (exit_logits(model, test).argmax(2) == test.truths[:, None]).mean(0)
    assert accuracy[-1] > accuracy[0] > (little == test.truths).mean() + 0.1
    model = SequenceModel(
        model.big, model.exits, msgspec.structs.replace(model.info, temperatures=fit_temperatures(model, calibration))
    )
    found = find_exits(model, calibration, test, little_macs=1e4, drop=0.01)
    assert found.evaluated.accuracy >= found.big_accuracy - 0.04
    assert found.evaluated.macs < found.single.macs
    whole = with_exits(model, found)
    assert whole.info.thresholds == found.chosen.thresholds[1:]
    assert [stage.name for stage in stages(model, test, 1.0)] == ["device", *model.info.modules, "big model"]


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


def test_a_sequence_is_one_file_that_a_server_runs(tmp_path: Path) -> None:
    model = made()
    train_exits(model, features(model), epochs=2)
    info = msgspec.structs.replace(model.info, thresholds=(0.4, *((float("inf"),) * (len(model.info.modules) - 1))))
    path = save_sequence(tmp_path / "seq.safetensors", SequenceModel(model.big, model.exits, info))
    assert is_sequence(path)
    again = load_sequence(path)
    assert again.info == info
    served = load_model(str(path), "cpu")
    pictures = [served.prepare(np.full((48, 64, 3), level, np.uint8)) for level in (0, 90, 200)]
    little = np.array([0.05, 0.05, 0.9], np.float32)
    rows, macs = served.run(pictures, [little, None, np.ones(2, np.float32)])
    assert rows.sum(axis=1) == pytest.approx(np.ones(3), abs=1e-5)
    assert macs[0] < sum(info.way_macs) <= macs[1] == macs[2]
    assert served.labels == LABELS


def test_files_that_are_no_sequences_are_refused(tmp_path: Path) -> None:
    (tmp_path / "x.safetensors").write_bytes(b"no")
    assert not is_sequence(tmp_path / "x.safetensors")
    with pytest.raises(WorkbenchError, match="expected an exit sequence"):
        load_sequence(tmp_path / "x.safetensors")
    with pytest.raises(WorkbenchError, match="expected an exit sequence"):
        load_sequence(tmp_path / "none.safetensors")
    big, info = create_model("resnet10t", labels=LABELS, input=SPEC)
    with pytest.raises(WorkbenchError, match="expected a little model with the big one's labels"):
        attach_exits(big, info, find_taps(big, 64, 64), ("cat", "dog", "fox"))
    with pytest.raises(WorkbenchError, match="no intermediate features"):
        find_taps(torch.nn.Sequential(torch.nn.Conv2d(3, 3, 1)), 8, 8)


@settings(max_examples=20)
@given(st.sampled_from([(2, 5, 3, 4), (2, 3, 4, 5), (2, 7, 5)]))
def test_features_are_pooled_over_their_places(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    found = torch.randn(shape)
    if len(shape) == 4 and shape[1] == 5:
        assert torch.allclose(pooled(found, 5), found.mean((2, 3)))
    else:
        assert torch.allclose(pooled(found, 5), found.reshape(2, -1, 5).mean(1))
    with pytest.raises(WorkbenchError, match="expected features of 9 channels"):
        pooled(found, 9)


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
