"""What a training makes small."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from edge_sdk.workbench.losses import cross_entropy, deferral_loss, teacher_distance


def softmax(row: np.ndarray) -> np.ndarray:
    powers: np.ndarray = np.exp(row - row.max())
    shares: np.ndarray = powers / powers.sum()
    return shares


@given(st.integers(0, 1000), st.integers(1, 6), st.integers(2, 5), st.floats(0.05, 0.95))
def test_the_deferral_loss_is_cross_entropy_where_right_and_distance_to_uniform_where_wrong(
    seed: int, count: int, classes: int, weight: float
) -> None:
    rng = np.random.default_rng(seed)
    logits, truths = rng.normal(0, 3, (count, classes)), rng.integers(0, classes, count)
    total = 0.0
    for row, truth in zip(logits, truths, strict=True):
        chances = softmax(row)
        if row.argmax() == truth:
            total += weight * -math.log(chances[truth])
        else:
            total += (1 - weight) * sum(p * math.log(p * classes) for p in chances)
    got = deferral_loss(torch.tensor(logits), torch.tensor(truths), weight)
    assert float(got) == pytest.approx(total / count, rel=1e-6, abs=1e-9)


def test_the_deferral_loss_makes_right_answers_surer_and_wrong_ones_less_sure() -> None:
    logits = torch.tensor([[2.0, 0.0, 0.0], [2.0, 0.0, 0.0]], requires_grad=True)
    deferral_loss(logits, torch.tensor([0, 1]), 0.5).backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    right, wrong = logits.grad
    assert right[0] < 0 < right[1]  # a step against the gradient raises the right class
    assert wrong[0] > 0 > wrong[1]  # and flattens the wrong answer
    assert wrong[1] == pytest.approx(float(wrong[2]))  # towards uniform, not towards the truth


def test_a_teacher_that_agrees_is_at_no_distance() -> None:
    logits = torch.randn(4, 5)
    assert float(teacher_distance(logits, logits, 2.0)) == pytest.approx(0, abs=1e-6)
    assert float(teacher_distance(logits, -logits, 2.0)) > 0


def test_cross_entropy_is_torchs() -> None:
    logits, truths = torch.randn(4, 5), torch.tensor([0, 1, 2, 3])
    wanted = functional.cross_entropy(logits, truths, label_smoothing=0.1)
    assert torch.equal(cross_entropy(logits, truths, 0.1), wanted)
