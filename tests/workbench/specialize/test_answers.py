"""What networks answer, and statistics that are corrected only where they help."""

import little_task
import pytest
import torch

from edge_sdk.workbench.specialize.answers import accuracy, answers, corrected, right_answers

SPEC = little_task.SPEC


def test_all_samples_are_answered_in_order() -> None:
    module, _ = little_task.network("resnet10t")
    samples = little_task.squares(10)
    module.eval()
    with torch.inference_mode():
        one = torch.cat([module(batch) for batch in samples.batches(SPEC, 1)])
    assert torch.allclose(answers(module, samples, SPEC), one, atol=1e-4)
    told: list[tuple[int, int]] = []
    right = right_answers(module, samples, SPEC, lambda *done: told.append(done))
    assert right.mean() == pytest.approx((one.argmax(1).numpy() == samples.truths).mean(), abs=0.03)
    assert accuracy(module, samples, SPEC) == right.mean()
    assert told == [(32, 40), (40, 40)]


def test_an_uncut_network_needs_no_correction() -> None:
    module, _ = little_task.network("resnet10t")
    module.eval()
    assert corrected(module, module, {}, little_task.squares(4), SPEC) is module
