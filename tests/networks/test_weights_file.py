import argparse
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from edge_sdk.errors import WorkbenchError
from edge_sdk.networks.weights_file import read_weights

STATE = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.ones(2), "n.num_batches_tracked": torch.tensor(3)}


def saved(content: object, path: Path, **options: Any) -> Path:
    torch.save(content, path, **options)
    return path


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
def test_tensors_come_as_float32_in_their_order(old: bool, dtype: torch.dtype, tmp_path: Path) -> None:
    state = {key: value.to(dtype) if value.is_floating_point() else value for key, value in STATE.items()}
    found = read_weights(saved(state, tmp_path / "w.pth", _use_new_zipfile_serialization=not old))
    assert list(found.tensors) == list(STATE) and found.ordered
    assert all(torch.equal(found.tensors[name], STATE[name]) for name in STATE)


def test_safetensors_keep_no_order(tmp_path: Path) -> None:
    save_file(STATE, tmp_path / "w.bin", {"architecture": "resnet18", "labels": '["cat", "dog"]'})
    found = read_weights(tmp_path / "w.bin")
    assert (found.ordered, found.arch, found.labels) == (False, "resnet18", ("cat", "dog"))
    assert set(found.tensors) == set(STATE)


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ({"state_dict": STATE, "epoch": 3, "optimizer": {"state": {0: {"exp_avg": torch.ones(3)}}}}, "state_dict"),
        ({"model": STATE, "optimizer": {"names": STATE}, "lr_scheduler": {"x": torch.ones(1)}}, "model"),
        ({"model": {"state_dict": STATE}}, "model.state_dict"),
        ({"model": {"other": torch.ones(1)}, "model_ema": STATE}, "model_ema"),
        ({"net": STATE}, "net"),
        ({"anything": STATE}, "anything"),
        (dict(STATE), ""),
    ],
)
def test_the_part_that_holds_the_network_is_found(content: Any, part: str, tmp_path: Path) -> None:
    found = read_weights(saved(content, tmp_path / "w.pth"))
    assert found.part == part and set(found.tensors) == set(STATE)


def test_averaged_weights_go_first_and_others_can_be_asked_for(tmp_path: Path) -> None:
    other = {name: tensor + 1 for name, tensor in STATE.items()}
    path = saved({"state_dict": STATE, "state_dict_ema": other}, tmp_path / "w.pth")
    found = read_weights(path)
    assert (found.part, found.others) == ("state_dict_ema", ("state_dict",))
    assert torch.equal(read_weights(path, "state_dict").tensors["a.bias"], STATE["a.bias"])
    with pytest.raises(WorkbenchError, match=r"--part among state_dict \(3 tensors\)"):
        read_weights(path, "generator")


def test_parts_of_which_none_is_the_network_by_name_have_to_be_named(tmp_path: Path) -> None:
    path = saved({"student": STATE, "teacher": STATE}, tmp_path / "w.pth")
    with pytest.raises(WorkbenchError, match=r"student.*teacher.*--part"):
        read_weights(path)
    assert read_weights(path, "teacher").part == "teacher"


def test_plain_values_of_training_programs_are_allowed_and_read(tmp_path: Path) -> None:
    content = {
        "model": STATE,
        "args": argparse.Namespace(model="resnet18", out=Path("/tmp/x"), lr=0.1),
        "best": np.float64(0.9),
        "class_to_idx": {"dog": 1, "cat": 0},
    }
    found = read_weights(saved(content, tmp_path / "w.pth"))
    assert (found.arch, found.labels) == ("resnet18", ("cat", "dog"))


class Evil:
    """Runs a command when it is unpickled."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.place),)


@pytest.mark.parametrize("old", [False, True])
def test_no_code_of_a_file_is_run(old: bool, tmp_path: Path) -> None:
    content = {"state_dict": STATE, "more": Evil(tmp_path / "pwned")}
    path = saved(content, tmp_path / "w.pth", _use_new_zipfile_serialization=not old)
    with pytest.raises(WorkbenchError, match=r"mkdir.*torch\.save\(model\.state_dict\(\)"):
        read_weights(path)
    (tmp_path / "plain.pkl").write_bytes(pickle.dumps(content))
    with pytest.raises(WorkbenchError):
        read_weights(tmp_path / "plain.pkl")
    assert not (tmp_path / "pwned").exists()


def test_a_whole_pickled_network_is_refused_with_the_cure(tmp_path: Path) -> None:
    path = saved(nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU()), tmp_path / "w.pth")
    with pytest.raises(WorkbenchError, match=r"a whole pickled network.*torch\.nn.*torch\.save\(model\.state_dict"):
        read_weights(path)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"a": torch.tensor([1.0, float("nan")])}, "a has NaN"),
        ({"a": torch.tensor([1.0, float("inf")]).half()}, "a has NaN or infinity"),
        ({"a": torch.ones(1).expand(1000, 1000)}, "stored whole"),
        ({"a": torch.ones(3).to_sparse()}, "sparse"),
        ({"a": torch.ones(3, dtype=torch.complex64)}, "complex"),
        (torch.ones(3), "one tensor of shape"),
        ([1, 2], "holds a list"),
        ({"epoch": 3}, "a dictionary of epoch"),
        ({}, "nothing"),
    ],
)
def test_what_are_no_weights_is_told(content: object, told: str, tmp_path: Path) -> None:
    with pytest.raises(WorkbenchError, match=told):
        read_weights(saved(content, tmp_path / "w.pth"))


@pytest.mark.parametrize("suffix", [".pth", ".safetensors", ".old"])
def test_a_file_cut_short_anywhere_or_with_wrong_bytes_is_an_error_in_words(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"w{suffix}"
    if suffix == ".safetensors":
        save_file(STATE, path)
    else:
        torch.save(STATE, path, _use_new_zipfile_serialization=suffix == ".pth")
    whole = path.read_bytes()
    for length in range(0, len(whole) - 1, max(1, len(whole) // 40)):
        path.write_bytes(whole[:length])
        with pytest.raises(WorkbenchError, match=r"expected weights"):
            read_weights(path)
    generator = np.random.default_rng(0)
    for _ in range(60):
        damaged = bytearray(whole)
        for place in generator.integers(0, len(whole), 8):
            damaged[place] ^= int(generator.integers(1, 256))
        path.write_bytes(damaged)
        try:
            read_weights(path)
        except WorkbenchError as error:
            assert "w" + suffix in str(error)
