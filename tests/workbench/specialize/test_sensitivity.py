"""What removing channels costs: an order, a curve, and the same again from what was remaining."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import little_task
import numpy as np
import pytest
import torch
from torch import nn

from edge_sdk.networks.pruning.groups import Structure
from edge_sdk.networks.pruning.structure import find_structure
from edge_sdk.workbench.specialize import sensitivity
from edge_sdk.workbench.specialize.allocate import Sensitivity, least_of
from edge_sdk.workbench.specialize.sensitivity import divergence, measure_sensitivities


def setting(arch: str = "resnet10t") -> tuple[nn.Module, Structure, Any]:
    module = little_task.trained()[0] if arch == "resnet10t" else little_task.network(arch)[0]
    return copy.deepcopy(module), find_structure(module, 32, 32), little_task.squares(6)


def equal(one: dict[str, Sensitivity], other: dict[str, Sensitivity]) -> bool:
    return one.keys() == other.keys() and all(
        one[name].order == other[name].order and np.array_equal(one[name].at, other[name].at) for name in one
    )


@pytest.mark.parametrize("arch", ["resnet10t", "vit_tiny_patch16_224", "convnext_atto"])
def test_an_order_of_removal_and_a_curve_for_each_group(arch: str) -> None:
    module, structure, samples = setting(arch)
    before = copy.deepcopy(module.state_dict())
    told: list[tuple[int, int, str]] = []
    found = measure_sensitivities(
        module, structure, samples, little_task.SPEC, damping=0.01, on_part=lambda *part: told.append(part)
    )
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    total = len(structure.groups)
    assert told == [(number + 1, total, group.name) for number, group in enumerate(structure.groups)]
    for group in structure.groups:
        one, least = found[group.name], least_of(group)
        assert one.at.shape == (group.channels + 1,)
        assert len(one.order) == len(set(one.order)) == group.channels - least
        assert np.isinf(one.at[:least]).all() and np.isfinite(one.at[least:]).all()
        assert one.at[-1] == 0 and (np.diff(one.at[least:]) <= 0).all() and one.at[least] > 0


def test_a_dead_channel_goes_first() -> None:
    """What it costs is the damping's share alone."""
    module, structure, samples = setting()
    group = next(group for group in structure.groups if group.name == "layer1.0.conv1")
    dead = module.get_submodule("layer1.0.bn1")
    with torch.no_grad():
        dead.weight[[2, 5]] = 0  # type: ignore[operator]
        dead.bias[[2, 5]] = -1.0  # type: ignore[operator]
    found = measure_sensitivities(module, Structure((group,), {}), samples, little_task.SPEC, damping=0.01)[group.name]
    assert set(found.order[:2]) == {2, 5} and found.at[6] < 0.1 * found.at[least_of(group)]


def test_what_was_measured_is_not_measured_again(tmp_path: Path) -> None:
    module, structure, samples = setting()
    spec, groups = little_task.SPEC, len(structure.groups)
    alone = measure_sensitivities(module, structure, samples, spec, damping=0.01)
    whole = measure_sensitivities(module, structure, samples, spec, damping=0.01, folder=tmp_path)
    files = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert len(files) == groups and equal(alone, whole)
    ran: list[int] = []
    hook = module.register_forward_hook(lambda *_: ran.append(1))
    again = measure_sensitivities(module, structure, samples, spec, damping=0.01, folder=tmp_path)
    asked = len(ran)
    hook.remove()
    assert equal(again, whole) and asked <= 1
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == files
    for path in sorted(files)[::2]:
        path.unlink()
    assert equal(measure_sensitivities(module, structure, samples, spec, damping=0.01, folder=tmp_path), whole)
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in files}


def test_an_interruption_keeps_the_groups_that_are_done(tmp_path: Path) -> None:
    module, structure, samples = setting()
    before = copy.deepcopy(module.state_dict())

    def stop(done: int, of: int, name: str) -> None:
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure_sensitivities(module, structure, samples, little_task.SPEC, damping=0.01, folder=tmp_path, on_part=stop)
    assert len(list(tmp_path.iterdir())) == 4
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


def test_little_memory_takes_more_passes_and_finds_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    module, structure, samples = setting()
    whole = measure_sensitivities(module, structure, samples, little_task.SPEC, damping=0.01)
    monkeypatch.setattr(sensitivity, "MEMORY", 8 * 200**2)
    assert equal(measure_sensitivities(module, structure, samples, little_task.SPEC, damping=0.01), whole)


def test_divergence_by_hand() -> None:
    torch.manual_seed(0)
    one, other = torch.randn(5, 3), torch.randn(5, 3)
    p, q = one.double().softmax(1), other.double().softmax(1)
    assert divergence(one, other) == pytest.approx(float((p * (p / q).log()).sum(1).mean()))
    assert divergence(one, one + 3) == pytest.approx(0, abs=1e-12)
