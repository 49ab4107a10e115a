"""Statistics of batch normalisation after a cut."""

from __future__ import annotations

import copy

import little_task
import torch
from torch import nn

from edge_sdk.networks.pruning.structure import find_structure, prune
from edge_sdk.workbench.specialize.answers import answers
from edge_sdk.workbench.specialize.norms import correct_statistics
from edge_sdk.workbench.specialize.sensitivity import divergence

SPEC = little_task.SPEC


def halved() -> tuple[nn.Module, nn.Module, dict[str, torch.Tensor]]:
    """The trained network, and half of each of its groups."""
    module, _ = little_task.trained()
    remaining = {group.name: torch.arange(group.channels)[::2] for group in find_structure(module, 32, 32).groups}
    cut = copy.deepcopy(module)
    prune(cut, 32, 32, remaining)
    return module, cut, remaining


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
