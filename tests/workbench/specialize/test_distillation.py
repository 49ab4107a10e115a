"""Corrected statistics, and a distillation that can be stopped at any step."""

from __future__ import annotations

import copy
from pathlib import Path

import little_task
import msgspec
import numpy as np
import pytest
import torch
from torch import nn

from edge_sdk.errors import WorkbenchError
from edge_sdk.networks.pruning.structure import find_structure, prune
from edge_sdk.workbench.specialize import distillation
from edge_sdk.workbench.specialize.answers import answers
from edge_sdk.workbench.specialize.distillation import distil
from edge_sdk.workbench.specialize.distillation_set import DistillationSet, make_distillation_set
from edge_sdk.workbench.specialize.recipe import Recipe
from edge_sdk.workbench.specialize.sensitivity import divergence

SPEC = little_task.SPEC
RECIPE = Recipe(steps=12, batch=8, views=40, bf16=False)


def halved() -> tuple[nn.Module, nn.Module, dict[str, torch.Tensor]]:
    """The trained network, and half of each of its groups."""
    module, _ = little_task.trained()
    remaining = {group.name: torch.arange(group.channels)[::2] for group in find_structure(module, 32, 32).groups}
    cut = copy.deepcopy(module)
    prune(cut, 32, 32, remaining)
    return module, cut, remaining


def distillation_set_for(
    module: nn.Module, recipe: Recipe = RECIPE, seed: int = 0, **watched: torch.Tensor
) -> DistillationSet:
    samples = little_task.squares(4, little_task.LABELS)
    return make_distillation_set(module, module, samples, SPEC, recipe, watched, seed=seed)


def same(one: nn.Module, other: nn.Module) -> bool:
    own = other.state_dict()
    return all(torch.equal(value, own[name]) for name, value in one.state_dict().items())


def test_pictures_without_truths_teach_by_answers_alone() -> None:
    module, cut, _ = halved()
    found = make_distillation_set(module, module, little_task.noise(5), SPEC, RECIPE, {})
    assert found.truths.shape == (40, 1) and not found.truths.any()
    told: list[float] = []
    distil(cut, found, SPEC, RECIPE, on_step=lambda done, of, loss: told.append(loss))
    assert len(told) == 12 and all(np.isfinite(told))


@pytest.mark.parametrize("bf16", [False, True])
def test_teaching_lowers_the_loss_and_brings_answers_nearer(bf16: bool) -> None:
    module, cut, remaining = halved()
    samples = little_task.squares(4, little_task.LABELS)
    recipe = msgspec.structs.replace(RECIPE, steps=60, views=96, batch=16, learning_rate=3e-3, average=0.9, bf16=bf16)
    watched = {"layer2.0.conv1": remaining["layer1.0.downsample.0"], "fc": remaining["layer4.0.downsample.0"]}
    distillation_set = make_distillation_set(module, module, samples, SPEC, recipe, watched)
    losses: list[float] = []
    off = divergence(answers(module, samples, SPEC), answers(cut, samples, SPEC))
    distil(cut, distillation_set, SPEC, recipe, on_step=lambda done, of, loss: losses.append(loss))
    assert losses[-1] < 0.9 * losses[0]
    assert divergence(answers(module, samples, SPEC), answers(cut, samples, SPEC)) < off
    assert not cut.training and all(value.is_contiguous() for value in cut.parameters())


def test_zeros_stay_zeros() -> None:
    module, _ = little_task.trained()
    pupil = copy.deepcopy(module)
    masks = {}
    for name in ("layer1.0.conv1", "layer3.0.conv2", "fc"):
        weight = pupil.get_submodule(name).weight
        masks[name] = torch.rand(weight.shape[0], weight[0].numel()) < 0.4  # type: ignore[arg-type, index]
        weight.data.mul_(masks[name].view_as(weight))  # type: ignore[operator, arg-type]
    distil(pupil, distillation_set_for(module), SPEC, RECIPE, masks=masks)
    for name, mask in masks.items():
        weight = pupil.get_submodule(name).weight.flatten(1)  # type: ignore[operator]
        assert not weight[~mask].any() and weight[mask].all()
    assert not torch.equal(pupil.get_submodule("fc").weight, module.get_submodule("fc").weight)  # type: ignore


@pytest.mark.parametrize("masked", [False, True])
def test_a_stopped_distillation_goes_on_to_the_same_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, masked: bool
) -> None:
    monkeypatch.setattr(distillation, "_SAVE_EVERY", 5)
    module, cut, remaining = halved()
    distillation_set = distillation_set_for(module, fc=remaining["layer4.0.downsample.0"])
    masks = {"fc": torch.rand(6, 12) < 0.5} if masked else None
    alone, stopped, resumed = (copy.deepcopy(cut) for _ in range(3))
    distil(alone, distillation_set, SPEC, RECIPE, masks=masks, seed=2)
    state = tmp_path / "distil.pt"

    def stop(done: int, of: int, loss: float) -> None:
        if done == 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        distil(stopped, distillation_set, SPEC, RECIPE, masks=masks, state=state, seed=2, on_step=stop)
    assert state.exists()
    steps: list[int] = []
    distil(
        resumed,
        distillation_set,
        SPEC,
        RECIPE,
        masks=masks,
        state=state,
        seed=2,
        on_step=lambda done, of, _: steps.append(done),
    )
    assert steps == list(range(6, 13))
    for name, value in resumed.state_dict().items():
        torch.testing.assert_close(value, alone.state_dict()[name], rtol=1e-5, atol=1e-6)
    assert not same(alone, cut)


def test_a_seed_decides_the_order() -> None:
    module, cut, _ = halved()
    distillation_set = distillation_set_for(module)
    pupils = [copy.deepcopy(cut) for _ in range(3)]
    for pupil, seed in zip(pupils, (1, 1, 2), strict=True):
        distil(pupil, distillation_set, SPEC, RECIPE, seed=seed)
    assert same(pupils[0], pupils[1]) and not same(pupils[0], pupils[2])


def test_a_loss_that_is_no_number_is_told() -> None:
    module, cut, _ = halved()
    distillation_set = distillation_set_for(module)
    distillation_set.answers[:] = torch.nan
    with pytest.raises(WorkbenchError, match="the loss is nan at step 0; try a lower learning rate"):
        distil(cut, distillation_set, SPEC, RECIPE)
