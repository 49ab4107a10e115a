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
from edge_sdk.workbench.specialize.norms import correct_statistics
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


def test_statistics_of_a_whole_network_stay() -> None:
    module, _ = little_task.trained()
    corrected = copy.deepcopy(module)
    before = copy.deepcopy(module.state_dict())
    correct_statistics(module, corrected, {}, little_task.squares(6), SPEC)
    for name, value in corrected.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=1e-5, atol=1e-5)
    assert same(module, corrected) or module.state_dict().keys() == before.keys()
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


def test_statistics_undo_a_shift_and_a_scale() -> None:
    """A layer whose outputs were shifted and doubled is put right by the normalisation behind it."""
    module, _ = little_task.trained()
    changed = copy.deepcopy(module)
    layer, shift = changed.get_submodule("layer1.0.conv2"), torch.linspace(-1, 1, 8)
    with torch.no_grad():
        layer.weight.mul_(1.5)  # type: ignore[operator]
    samples = little_task.squares(6)
    wanted, off = answers(module, samples, SPEC), answers(changed, samples, SPEC)
    hook = layer.register_forward_hook(lambda layer, inputs, output: output + shift[:, None, None])
    correct_statistics(module, changed, {}, samples, SPEC)
    near = answers(changed, samples, SPEC)
    hook.remove()
    assert divergence(wanted, near) < 0.05 * divergence(wanted, off)


def test_statistics_of_a_cut_network_bring_it_nearer() -> None:
    module, cut, remaining = halved()
    samples = little_task.squares(8, little_task.LABELS)
    weights = {name: value.clone() for name, value in cut.named_parameters()}
    wanted, off = answers(module, samples, SPEC), answers(cut, samples, SPEC)
    correct_statistics(module, cut, remaining, samples, SPEC)
    assert divergence(wanted, answers(cut, samples, SPEC)) < divergence(wanted, off)
    assert all(torch.equal(value, weights[name]) for name, value in cut.named_parameters())
    assert not any(layer._forward_pre_hooks for one in (module, cut) for layer in one.modules())


def test_networks_without_statistics_are_left_alone() -> None:
    module, _ = little_task.network("vit_tiny_patch16_224")
    other = copy.deepcopy(module)
    correct_statistics(module, other, {}, little_task.squares(2), SPEC)
    assert same(other, module)


def test_the_set_holds_views_of_all_pictures_with_the_teachers_answers() -> None:
    module, _ = little_task.trained()
    channels = torch.tensor([0, 3, 7])
    told: list[tuple[int, int]] = []
    samples = little_task.squares(4, little_task.LABELS)
    watched = {"layer2.0.conv1": channels, "fc": torch.arange(24)}
    found = make_distillation_set(
        module, module, samples, SPEC, RECIPE, watched, seed=3, on_step=lambda done, of, _: told.append((done, of))
    )
    assert found.images.shape == (40, 32, 32, 3) and found.answers.shape == (40, 6)
    torch.testing.assert_close(found.truths.sum(1), torch.ones(40))
    assert {name: tuple(values.shape) for name, values in found.features.items()} == {
        "layer2.0.conv1": (40, 3),
        "fc": (40, 24),
    }
    assert told == [(8 * (n + 1), 40) for n in range(5)]
    again = make_distillation_set(module, module, samples, SPEC, RECIPE, watched, seed=3)
    other = make_distillation_set(module, module, samples, SPEC, RECIPE, watched, seed=4)
    assert np.array_equal(found.images, again.images) and torch.equal(found.answers, again.answers)
    assert not np.array_equal(found.images, other.images)
    views = type(samples)(found.images, samples.truths[:1].repeat(40), samples.labels)
    torch.testing.assert_close(found.answers, answers(module, views, SPEC), rtol=1e-4, atol=1e-4)


def test_a_set_without_mixing_or_changes_are_the_pictures_and_their_mirror_images() -> None:
    module, _ = little_task.trained()
    samples = little_task.squares(2, little_task.LABELS)
    found = make_distillation_set(module, module, samples, SPEC, Recipe(views=24, mixed=0, strength=0, bf16=False), {})
    flips = 0
    for number, image in enumerate(found.images):
        own = samples.images[number % 12].astype(int)
        flips += bool(np.abs(own - image).mean() > 1.1)
        assert found.truths[number].argmax() == samples.truths[number % 12] and found.truths[number].max() == 1
    assert 0 < flips < 24


def test_a_teacher_that_sums_classes_watches_the_whole_networks_layers() -> None:
    from edge_sdk.workbench.specialize.restrict_head import Summed, restrict

    module, _ = little_task.trained()
    members = ((0, 1), (2,), (3, 4, 5))
    samples = little_task.squares(2, little_task.LABELS[:3])
    found = make_distillation_set(
        Summed(module, members), restrict(module, members), samples, SPEC, RECIPE, {"fc": torch.arange(24)}
    )
    alone = make_distillation_set(restrict(module, members), restrict(module, members), samples, SPEC, RECIPE, {})
    assert found.answers.shape == (40, 3) and found.features["fc"].shape == (40, 24)
    assert not torch.allclose(found.answers, alone.answers)


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
        weight.data.mul_(masks[name].view_as(weight))  # type: ignore[arg-type, operator]
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


@pytest.mark.parametrize(
    ("recipe", "views"),
    [
        (Recipe(), 3000),
        (Recipe(steps=1200), 6000),
        (Recipe(steps=0), 5),
        (Recipe(steps=2, batch=4, views=100), 8),
        (Recipe(steps=20, views=100), 100),
        (Recipe(steps=10, batch=2), 20),
    ],
)
def test_there_are_five_views_for_each_step_and_no_more_than_are_looked_at(recipe: Recipe, views: int) -> None:
    assert recipe.count_views() == views


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"mixed": 1.5}, r"expected mixed in \[0, 1\]; got 1.5"),
        ({"strength": -0.1}, "expected strength in"),
        ({"truth": 2.0}, "expected truth in"),
        ({"average": float("nan")}, "expected average in"),
        ({"steps": -1}, "expected steps of 0 or more"),
        ({"batch": 1}, "a batch and views of 2 or more"),
        ({"views": 1}, "a batch and views of 2 or more"),
        ({"learning_rate": 0.0}, "a learning rate and a temperature above 0"),
        ({"temperature": 0.0}, "a learning rate and a temperature above 0"),
        ({"weight_decay": -1.0}, "expected weight_decay of 0 or more; got -1.0"),
        ({"features": -1.0}, "expected features of 0 or more; got -1.0"),
    ],
)
def test_recipes_that_make_no_sense(wrong: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Recipe(**wrong)  # type: ignore[arg-type]
