"""From the dense network to the small one: the stages, their cost, and going on after a stop."""

from __future__ import annotations

import copy
from pathlib import Path

import little_task
import msgspec
import pytest
import torch
from compress_parts import METHOD, SPEC, big, right, run
from torch import nn

from edge_sdk.networks.macs import count_macs, count_parameters
from edge_sdk.networks.pruning.structure import find_structure, shrink
from edge_sdk.workbench.specialize.allocate import Limits
from edge_sdk.workbench.specialize.compress import compress, find_sensitivities
from edge_sdk.workbench.specialize.recipe import Recipe

WITHOUT_DISTILLATION = msgspec.structs.replace(METHOD, recipe=Recipe(steps=0))


def same(one: nn.Module, other: nn.Module) -> bool:
    own = other.state_dict()
    return all(torch.equal(value, own[name]) for name, value in one.state_dict().items())


def test_each_stage_helps_and_the_limits_hold(tmp_path: Path) -> None:
    before = copy.deepcopy(big().state_dict())
    small, stages = run(tmp_path, METHOD, 3, 1.5)
    assert list(stages) == ["cut", "refit", "statistics", "distillation"]
    whole = big()
    assert count_parameters(small.module) <= count_parameters(whole) / 3
    assert count_macs(small.module, 32, 32) <= count_macs(whole, 32, 32) / 1.5
    assert right(whole) > 0.9 and right(small.module) > 0.8
    assert right(stages["refit"]) >= right(stages["cut"])
    assert same(small.module, stages["distillation"]) and not small.module.training
    assert all(torch.equal(value, before[name]) for name, value in big().state_dict().items())
    fresh = big()
    shrink(fresh, 32, 32, small.widths)
    fresh.load_state_dict(small.module.state_dict())
    assert small.dense == {} and small.masks == {}


@pytest.mark.parametrize("stop_at", ["refit layer by layer", "ask the big model", "distillation"])
def test_a_stopped_call_goes_on_to_the_same_end(tmp_path: Path, stop_at: str) -> None:
    whole, _ = run(tmp_path / "whole", METHOD, 3)

    def stop(what: str, done: int, of: int) -> None:
        if what == stop_at and done > of // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "stopped", METHOD, 3, on_progress=stop)
    again, _ = run(tmp_path / "stopped", METHOD, 3)
    assert same(again.module, whole.module)
    files = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    once_more, _ = run(tmp_path / "stopped", METHOD, 3)
    assert same(once_more.module, whole.module)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()} == files
    assert not [path for path in files if "partial" in path.name]


def test_a_gradual_schedule_halves_round_by_round(tmp_path: Path) -> None:
    small, stages = run(tmp_path, msgspec.structs.replace(METHOD, schedule="gradual"), 4)
    whole = count_parameters(big())
    first, last = stages["distillation, round 1 of 2"], stages["distillation, round 2 of 2"]
    assert 1.9 < whole / count_parameters(first) < 2.6 and 4 <= whole / count_parameters(last) < 5
    assert same(small.module, last) and right(last) > 0.7
    fresh = big()
    shrink(fresh, 32, 32, small.widths)
    fresh.load_state_dict(small.module.state_dict())
    fresh.eval()
    assert right(fresh) == right(last)


def test_the_same_share_of_every_group(tmp_path: Path) -> None:
    small, stages = run(tmp_path, msgspec.structs.replace(WITHOUT_DISTILLATION, allocation="even"), macs=2)
    assert count_macs(small.module, 32, 32) <= count_macs(big(), 32, 32) / 2
    shares = [small.widths[group.name] / group.channels for group in find_structure(big(), 32, 32).groups]
    assert max(shares) - min(shares) < 0.35 and list(stages)[-1] == "statistics"


@pytest.mark.parametrize("arch", ["vit_tiny_patch16_224", "convnext_atto", "mobilenetv3_small_050"])
def test_other_families_are_cut_and_taught(tmp_path: Path, arch: str) -> None:
    whole, _ = little_task.network(arch)
    samples = little_task.squares(4)
    method = msgspec.structs.replace(METHOD, pictures=16, recipe=Recipe(steps=6, batch=8, views=16, bf16=False))
    sensitivities = find_sensitivities(whole, find_structure(whole, 32, 32), samples, SPEC, method, tmp_path)
    limits = Limits(count_parameters(whole) // 2)
    small = compress(whole, whole, samples, SPEC, limits, method, sensitivities=sensitivities, folder=tmp_path)
    assert count_parameters(small.module) <= count_parameters(whole) // 2
    fresh, _ = little_task.network(arch, seed=1)
    shrink(fresh, 32, 32, small.widths)
    fresh.load_state_dict(small.module.state_dict())
