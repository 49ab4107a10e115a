"""Cost and accuracy of the stages of a specialisation."""

from __future__ import annotations

import little_task
import torch

from edge_sdk.networks.macs import count_parameters
from edge_sdk.workbench.specialize.stages import Stages

SPEC = little_task.SPEC


def test_a_stage_is_judged_picture_by_picture_and_that_is_told() -> None:
    module, _ = little_task.trained()
    test = little_task.squares(4, little_task.LABELS, seed=5)
    told: list[tuple[str, int, int]] = []
    stages = Stages(SPEC, test, sparse=False, on_progress=lambda *now: told.append(now))
    stages.add("big", module)
    (stage,), (right,) = stages.found, stages.right
    assert right is not None and right.shape == (24,) and stage.accuracy == right.mean() > 0.9
    assert stage.parameters == count_parameters(module)
    assert told[-1] == ("evaluate: big", 24, 24)


def test_without_test_pictures_there_is_no_accuracy_and_zeros_do_not_count() -> None:
    module, _ = little_task.trained()
    weight = next(one for one in module.parameters() if one.ndim == 4)
    kept = weight.detach().clone()
    with torch.no_grad():
        weight.zero_()
    stage, right = Stages(SPEC, None, sparse=True).judge("zeros", module)
    with torch.no_grad():
        weight.copy_(kept)
    assert (stage.accuracy, right) == (None, None)
    assert stage.parameters <= count_parameters(module) - kept.numel()
