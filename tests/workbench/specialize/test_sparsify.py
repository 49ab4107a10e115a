"""Zeros where they were asked for, and nowhere else."""

from __future__ import annotations

import copy
from pathlib import Path

import little_task
import pytest
import torch
from torch import nn

from edge_sdk.errors import WorkbenchError
from edge_sdk.workbench.specialize.answers import answers
from edge_sdk.workbench.specialize.layers import flat_weight, set_weight
from edge_sdk.workbench.specialize.sensitivity import divergence
from edge_sdk.workbench.specialize.sparse import Grid
from edge_sdk.workbench.specialize.sparsify import (
    parse_pattern,
    prunable_weights,
    round_weights,
    sparsify,
)

SPEC = little_task.SPEC


def network(arch: str) -> nn.Module:
    return little_task.trained()[0] if arch == "resnet10t" else little_task.network(arch)[0]


def layers_of(module: nn.Module) -> set[str]:
    return {name for name, layer in module.named_modules() if isinstance(layer, nn.Conv2d | nn.Linear)}


@pytest.mark.parametrize("text", ["1:4", "2:4", "4:8", "1:2", "15:16"])
def test_patterns_are_read(text: str) -> None:
    first, second = text.split(":")
    assert parse_pattern(text) == (int(first), int(second))
    assert parse_pattern("unstructured") is None


@pytest.mark.parametrize("text", ["", "structured", "4:2", "2:2", "0:4", "2/4", "2:", "-2:4", "2:400", "٢:4"])
def test_other_patterns_are_refused(text: str) -> None:
    with pytest.raises(WorkbenchError, match=f"N:M with N below M, such as 2:4; got {text!r}"):
        parse_pattern(text)


@pytest.mark.parametrize(
    ("arch", "pattern"),
    [
        ("resnet10t", (2, 4)),
        ("resnet10t", (1, 4)),
        ("vit_tiny_patch16_224", (2, 4)),
        ("convnext_atto", (4, 8)),
        ("mobilenetv3_small_050", (2, 4)),
    ],
)
def test_each_layer_has_the_pattern_or_a_reason(arch: str, pattern: tuple[int, int]) -> None:
    module = network(arch)
    before = copy.deepcopy(module.state_dict())
    sparse, masks, dense = sparsify(module, little_task.squares(4), SPEC, pattern, 0.0, damping=0.01)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert masks.keys() | dense.keys() == layers_of(module) and not masks.keys() & dense.keys()
    stay, of = pattern
    for name, mask in masks.items():
        weight = flat_weight(sparse.get_submodule(name))
        assert mask.shape == weight.shape and not weight[~mask].any()
        assert (mask.view(len(mask), -1, of).sum(2) == stay).all()
    for name in dense:
        assert torch.equal(flat_weight(sparse.get_submodule(name)), flat_weight(module.get_submodule(name)))
    weights = sum(mask.numel() for mask in masks.values())
    assert sum(int(mask.sum()) for mask in masks.values()) == weights * stay // of
    assert "the classifier stays dense" in dense.values() and "it reads the picture" in dense.values()
    assert (arch in ("mobilenetv3_small_050", "convnext_atto")) == ("a grouped convolution" in dense.values())


def test_inputs_that_no_pattern_fits_are_named() -> None:
    module = network("resnet10t")
    _, masks, dense = sparsify(module, little_task.squares(2), SPEC, (3, 7), 0.0, damping=0.01)
    assert not masks and dense["layer1.0.conv1"] == "its 144 inputs are not a multiple of 7"


@pytest.mark.parametrize("even", [False, True])
@pytest.mark.parametrize("sparsity", [0.3, 0.8])
def test_the_share_of_zeros_is_met(even: bool, sparsity: float) -> None:
    module = network("resnet10t")
    sparse, masks, _ = sparsify(module, little_task.squares(4), SPEC, None, sparsity, damping=0.01, even=even)
    possible = prunable_weights(module, SPEC)
    assert possible == sum(mask.numel() for mask in masks.values())
    gone = sum(int((~mask).sum()) for mask in masks.values())
    assert gone / possible == pytest.approx(sparsity, abs=0.005)
    shares = [float((~mask).double().mean()) for mask in masks.values()]
    assert max(shares) <= 0.99 + 1e-9
    if even:
        assert max(shares) - min(shares) < 0.02
    else:
        assert max(shares) - min(shares) > 0.05
    for name, mask in masks.items():
        assert not flat_weight(sparse.get_submodule(name))[~mask].any()


def test_weights_that_stay_make_up_for_those_that_went() -> None:
    module, samples = network("resnet10t"), little_task.squares(8, little_task.LABELS)
    sparse, masks, _ = sparsify(module, samples, SPEC, None, 0.6, damping=0.01)
    plain = copy.deepcopy(module)
    for name, mask in masks.items():
        layer = plain.get_submodule(name)
        set_weight(layer, flat_weight(layer) * mask)
    wanted, near, off = (answers(one, samples, SPEC) for one in (module, sparse, plain))
    assert divergence(wanted, near) < 0.5 * divergence(wanted, off)


def test_an_interrupted_call_goes_on_to_the_same_end(tmp_path: Path) -> None:
    module, samples = network("resnet10t"), little_task.squares(3)
    alone, masks, _ = sparsify(module, samples, SPEC, (2, 4), 0.0, damping=0.01)

    def stop(done: int, of: int, name: str) -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sparsify(module, samples, SPEC, (2, 4), 0.0, damping=0.01, folder=tmp_path, on_part=stop)
    assert len(list(tmp_path.iterdir())) == 5
    for _ in range(2):  # goes on; and then has all of it
        again, same, _ = sparsify(module, samples, SPEC, (2, 4), 0.0, damping=0.01, folder=tmp_path)
        assert all(torch.equal(value, alone.state_dict()[name]) for name, value in again.state_dict().items())
        assert all(torch.equal(mask, masks[name]) for name, mask in same.items())
    assert len(list(tmp_path.iterdir())) == len(masks)


def test_rounded_weights_lie_on_their_grid_and_lose_less_than_plain_rounding() -> None:
    module, samples = network("resnet10t"), little_task.squares(8, little_task.LABELS)
    rounded = round_weights(module, samples, SPEC, damping=0.01)
    plain = copy.deepcopy(module)
    changed = 0
    for name in sorted(layers_of(module) - {"fc", "conv1.0"}):
        weight = flat_weight(module.get_submodule(name))
        grid = Grid.of(weight)
        steps = flat_weight(rounded.get_submodule(name)) / grid.scale.reshape(-1, 1)
        torch.testing.assert_close(steps, steps.round(), rtol=0, atol=1e-3)
        assert steps.abs().max() <= 128
        set_weight(plain.get_submodule(name), (weight / grid.scale.reshape(-1, 1)).round() * grid.scale.reshape(-1, 1))
        changed += 1
    assert changed > 8
    wanted, near, off = (answers(one, samples, SPEC) for one in (module, rounded, plain))
    assert divergence(wanted, near) < divergence(wanted, off)


def test_rounding_in_the_same_sweep_leaves_zeros_and_the_grid() -> None:
    module = network("resnet10t")
    sparse, masks, _ = sparsify(module, little_task.squares(3), SPEC, None, 0.5, damping=0.01, round_too=True)
    for name, mask in masks.items():
        weight = flat_weight(sparse.get_submodule(name))
        scale = Grid.of(flat_weight(module.get_submodule(name))).scale.reshape(-1, 1)
        torch.testing.assert_close(weight / scale, (weight / scale).round(), rtol=0, atol=1e-3)
        assert not weight[~mask].any()
