"""Models that records are made of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tiny_network import SPEC, picture, write_tiny_bundle

from edge_sdk.errors import ConfigError, WorkbenchError
from edge_sdk.images.rendition import Upload
from edge_sdk.model.big_reference import fingerprint_of
from edge_sdk.networks.checkpoint import CheckpointInfo, create_model, save_checkpoint
from edge_sdk.workbench.cascade.confidence import softmax
from edge_sdk.workbench.subjects import (
    as_they_arrive,
    callable_subject,
    check_names,
    file_name,
    latency_ms,
    open_subject,
    torch_subject,
    with_label_map,
)


def test_a_bundle_runs_in_the_devices_runtime(tmp_path: Path) -> None:
    bundle = write_tiny_bundle(tmp_path / "tiny")
    subject = open_subject(str(bundle.path))
    assert subject.info.model == "tiny-int8" and subject.info.labels == bundle.manifest.labels
    logits = subject.logits([subject.prepare(picture(1, 80, 60)), subject.prepare(picture(2))])
    assert logits.shape == (2, 3) and logits.dtype == np.float32
    assert latency_ms(subject, subject.prepare(picture())) > 0


def test_a_checkpoint_is_named_after_its_file(tmp_path: Path) -> None:
    module, info = create_model("lcnet_035", labels=("a", "b"), input=SPEC)
    for path, name in (("fox.safetensors", "fox"), ("yard/model.safetensors", "yard")):
        save_checkpoint(tmp_path / path, module, info)
        subject = open_subject(str(tmp_path / path))
        assert subject.info.model == name and subject.input == SPEC and subject.info.precision == "fp32"
        assert subject.logits([picture()]).shape == (1, 2)


def test_a_network_without_labels_is_refused() -> None:
    module, _ = create_model("lcnet_035", labels=("a", "b"), input=SPEC)
    with pytest.raises(WorkbenchError, match="x: expected a model with labels"):
        torch_subject(module, CheckpointInfo(arch="lcnet_035", labels=(), input=SPEC), "x")


def test_a_function_is_a_model_and_a_known_latency_stays() -> None:
    subject = callable_subject("f", lambda images: images.mean((1, 2))[:, :2], ("a", "b"), SPEC, macs=7)
    assert subject.logits([picture()]).shape == (1, 2) and subject.info.macs == 7
    assert subject.timed(1.5).info.latency_ms == 1.5


@pytest.mark.parametrize(("model", "name"), [("a/b c", "a_b_c"), ("net.v1-int8", "net.v1-int8"), ("..", "model")])
def test_names_of_files(model: str, name: str) -> None:
    assert file_name(model) == name


def test_a_label_map_sums_probabilities_as_a_server_does() -> None:
    rows = np.random.default_rng(0).normal(0, 3, (5, 4)).astype(np.float32)
    fine = callable_subject("f", lambda images: rows, ("red fox", "deer", "grey fox", "owl"), SPEC)
    coarse = with_label_map(fine, {"red fox": "fox", "grey fox": "fox", "*": "other"})
    assert coarse.info.labels == ("fox", "other") and coarse.info.reference.label_map["red fox"] == "fox"
    wanted = softmax(rows)[:, [0, 2]].sum(axis=1)
    assert np.allclose(softmax(coarse.logits([picture()] * 5))[:, 0], wanted, atol=1e-5)
    with pytest.raises(ConfigError, match="it has no 'wolf'"):
        with_label_map(fine, {"wolf": "canid"})


def test_a_subject_says_what_serves_it(tmp_path: Path) -> None:
    module, info = create_model("lcnet_035", labels=("a", "b"), input=SPEC)
    path = save_checkpoint(tmp_path / "big.safetensors", module, info)
    named = open_subject(str(path), label_map={"a": "x", "*": "y"}).info.reference
    assert (named.name, named.model, named.labels) == ("big", str(path), ("x", "y"))
    assert named.fingerprint == fingerprint_of(path)
    bundle = write_tiny_bundle(tmp_path / "tiny")
    own = open_subject(str(bundle.path)).info
    assert own.served_as == str(bundle.path) and bundle.manifest.sha256.startswith(own.fingerprint)
    assert open_subject("lcnet_035").info.served_as == ""  # random weights: no server has the same


def test_the_little_model_sees_pictures_as_taken_and_the_others_as_sent(tmp_path: Path) -> None:
    bundle = str(write_tiny_bundle(tmp_path / "tiny").path)
    costs = {"cheap.pth": 1, "dear.pth": 9, bundle: 5}
    upload = Upload(64, 60)

    def sent(*names: str) -> list[bool]:
        found = [
            callable_subject(name, lambda images: images.mean((1, 2)), ("a", "b"), SPEC, macs=costs[name])
            for name in names
        ]
        return [one.upload == upload for one in as_they_arrive(names, found, upload)]

    assert sent(bundle, "dear.pth") == sent(bundle, "cheap.pth") == [False, True]  # a bundle is for the device
    assert sent("dear.pth", "cheap.pth") == [True, False]
    assert sent("dear.pth") == [True] and sent(bundle) == [False]


def test_models_of_one_name_are_told_with_what_was_given(tmp_path: Path) -> None:
    bundle = write_tiny_bundle(tmp_path / "tiny")
    one = open_subject(str(bundle.path))
    with pytest.raises(WorkbenchError, match="here and there are the same model"):
        check_names(["here", "there"], [one, one])
    module, info = create_model("lcnet_035", labels=("a", "b"), input=SPEC)
    names = [str(save_checkpoint(tmp_path / folder / "best.safetensors", module, info)) for folder in ("x", "y")]
    save_checkpoint(tmp_path / "y" / "best.safetensors", module.half(), info)
    with pytest.raises(WorkbenchError, match=r"x/best.safetensors and .*y/best.safetensors are both called best"):
        check_names(names, [open_subject(name) for name in names])
