"""Layer by layer: a cut network solved for what the whole one gave."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import little_task
import numpy as np
import pytest
import torch
from torch import nn

from edge_sdk.model.bundle import InputSpec
from edge_sdk.networks.pruning.groups import Group, Member, RemainingChannels, Structure
from edge_sdk.networks.pruning.structure import find_structure, prune
from edge_sdk.workbench.specialize import layers, refit
from edge_sdk.workbench.specialize.answers import answers
from edge_sdk.workbench.specialize.refit import refit_layers
from edge_sdk.workbench.specialize.samples import Samples
from edge_sdk.workbench.specialize.sensitivity import divergence

SPEC = little_task.SPEC


def some(structure: Structure, seed: int = 0, share: float = 0.6) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        group.name: torch.randperm(group.channels, generator=generator)[: max(1, round(share * group.channels))]
        .sort()
        .values
        for group in structure.groups
    }


def cut_to(module: nn.Module, remaining: RemainingChannels) -> nn.Module:
    cut = copy.deepcopy(module)
    prune(cut, 32, 32, remaining)
    return cut


def close(one: nn.Module, other: nn.Module, tolerance: float = 1e-5) -> bool:
    own = other.state_dict()
    return all(
        torch.allclose(value.double(), own[name].double(), rtol=tolerance, atol=tolerance)
        for name, value in one.state_dict().items()
    )


@pytest.mark.parametrize("arch", ["resnet10t", "vit_tiny_patch16_224", "convnext_atto"])
def test_where_nothing_went_nothing_changes(arch: str) -> None:
    module, _ = little_task.network(arch)
    structure = find_structure(module, 32, 32)
    remaining = {group.name: torch.arange(group.channels) for group in structure.groups}
    same = cut_to(module, remaining)
    refit_layers(module, same, structure, remaining, little_task.squares(4), SPEC, damping=0.01)
    assert close(same, module)


@pytest.mark.parametrize("arch", ["resnet10t", "vit_tiny_patch16_224", "convnext_atto", "mobilenetv3_small_050"])
def test_solved_answers_are_nearer_than_plainly_cut_ones(arch: str) -> None:
    module = little_task.trained()[0] if arch == "resnet10t" else little_task.network(arch)[0]
    structure, samples = find_structure(module, 32, 32), little_task.squares(8)
    remaining = some(structure)
    plain, solved = cut_to(module, remaining), cut_to(module, remaining)
    before = copy.deepcopy(module.state_dict())
    refit_layers(module, solved, structure, remaining, samples, SPEC, damping=0.01)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    wanted, off, near = (answers(one, samples, SPEC) for one in (module, plain, solved))
    assert divergence(wanted, near) < 0.5 * divergence(wanted, off)


class Stack(nn.Module):
    """Two linear layers on the pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(3 * 4 * 4, 10), nn.Linear(10, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.b(self.a(x.flatten(1)).relu())  # type: ignore[no-any-return]


def stack_samples(count: int) -> Samples:
    images = np.random.default_rng(3).integers(0, 256, (count, 4, 4, 3), np.uint8)
    return Samples(images, np.zeros(count, np.int64), ("x",))


def test_a_stack_has_the_least_squares_solution() -> None:
    torch.manual_seed(0)
    dense = Stack().eval()
    index = torch.arange(10)[:, None]
    structure = Structure((Group("a", "channels", 10, (Member("b", index),), (Member("a", index),), ()),), {})
    remaining = {"a": torch.tensor([0, 2, 3, 7, 9])}
    cut: Any = copy.deepcopy(dense)
    with torch.no_grad():
        cut.a.weight, cut.a.bias = (nn.Parameter(one[remaining["a"]]) for one in (dense.a.weight, dense.a.bias))
        cut.b.weight = nn.Parameter(dense.b.weight[:, remaining["a"]])
    samples, spec = stack_samples(50), InputSpec(4, 4, little_task.MEAN, little_task.STD)
    refit_layers(dense, cut, structure, remaining, samples, spec, damping=0.0)
    with torch.inference_mode():
        batch = torch.cat(list(samples.batches(spec)))
        hidden = cut.a(batch.flatten(1)).relu().double()
        rows = torch.cat([hidden, torch.ones(50, 1)], 1)
        wanted = dense(batch).double()
        solution = torch.linalg.lstsq(rows, wanted).solution
    torch.testing.assert_close(cut.b.weight.double(), solution[:-1].T, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(cut.b.bias.double(), solution[-1], rtol=1e-3, atol=1e-4)


def test_more_damping_stays_nearer_to_the_dense_weights() -> None:
    module = little_task.trained()[0]
    structure, samples = find_structure(module, 32, 32), little_task.squares(4)
    remaining = some(structure)
    plain = cut_to(module, remaining)
    moved = []
    for damping in (0.001, 0.1, 10.0):
        solved = cut_to(module, remaining)
        refit_layers(module, solved, structure, remaining, samples, SPEC, damping=damping)
        own = plain.state_dict()
        moved.append(sum(float((value - own[name]).square().sum()) for name, value in solved.state_dict().items()))
    assert moved[0] > moved[1] > moved[2] > 0


def test_an_interrupted_call_goes_on_to_the_same_end(tmp_path: Path) -> None:
    module = little_task.trained()[0]
    structure, samples = find_structure(module, 32, 32), little_task.squares(4)
    remaining = some(structure)
    alone, whole, resumed = (cut_to(module, remaining) for _ in range(3))
    told: list[str] = []
    refit_layers(
        module,
        alone,
        structure,
        remaining,
        samples,
        SPEC,
        damping=0.01,
        on_part=lambda done, of, name: told.append(name),
    )
    assert sorted(told) == sorted({member.layer for group in structure.groups for member in group.consumers})

    def stop(done: int, of: int, name: str) -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        refit_layers(module, whole, structure, remaining, samples, SPEC, damping=0.01, folder=tmp_path, on_part=stop)
    assert len(list(tmp_path.iterdir())) == 5
    refit_layers(module, resumed, structure, remaining, samples, SPEC, damping=0.01, folder=tmp_path)
    assert all(torch.equal(value, alone.state_dict()[name]) for name, value in resumed.state_dict().items())
    for path in sorted(tmp_path.iterdir())[::3]:
        path.unlink()
    last = cut_to(module, remaining)
    refit_layers(module, last, structure, remaining, samples, SPEC, damping=0.01, folder=tmp_path)
    assert close(last, alone)


def test_few_rows_and_little_memory_still_solve(monkeypatch: pytest.MonkeyPatch) -> None:
    module = little_task.trained()[0]
    structure, samples = find_structure(module, 32, 32), little_task.squares(8)
    remaining = some(structure)
    plain, solved, gathered = (cut_to(module, remaining) for _ in range(3))
    usual = layers.MAX_ROWS
    monkeypatch.setattr(layers, "MAX_ROWS", 2000)
    refit_layers(module, gathered, structure, remaining, samples, SPEC, damping=0.01)
    monkeypatch.setattr(refit, "MEMORY", 0)
    refit_layers(module, solved, structure, remaining, samples, SPEC, damping=0.01)
    assert usual > 2000 and close(solved, gathered)
    wanted, off, near = (answers(one, samples, SPEC) for one in (module, plain, solved))
    assert divergence(wanted, near) < divergence(wanted, off)
