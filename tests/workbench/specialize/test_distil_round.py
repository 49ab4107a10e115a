"""A round of distillation is done once."""

import copy
from pathlib import Path

import little_task
import torch

from edge_sdk.workbench.specialize.distil_round import distil_round
from edge_sdk.workbench.specialize.method import Method
from edge_sdk.workbench.specialize.recipe import Recipe

METHOD = Method(recipe=Recipe(steps=3, batch=4, views=8, bf16=False))


def test_what_is_done_is_read_from_its_folder(tmp_path: Path) -> None:
    whole, _ = little_task.network("resnet10t")
    one, two = copy.deepcopy(whole), copy.deepcopy(whole)
    told: list[tuple[str, int, int]] = []

    def distilled(cut: torch.nn.Module) -> None:
        distil_round(whole.eval(), whole, cut, {}, little_task.squares(2), little_task.SPEC, METHOD, tmp_path, told_one)

    def told_one(what: str, done: int, of: int) -> None:
        told.append((what, done, of))

    distilled(one)
    assert ("distillation", 3, 3) in told and ("ask the big model", 8, 8) in told
    assert not all(torch.equal(a, b) for a, b in zip(one.parameters(), whole.parameters(), strict=True))
    told.clear()
    distilled(two)
    assert told == [] and not two.training
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
