"""What a training makes small: cross-entropy, the distance to a teacher, and the loss that teaches deferral."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional


def cross_entropy(logits: Tensor, truths: Tensor, smoothing: float = 0.0) -> Tensor:
    """Mean cross-entropy of `float32 (N, C)` logits and `int64 (N,)` classes, with label smoothing."""
    return functional.cross_entropy(logits, truths, label_smoothing=smoothing)


def teacher_distance(logits: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Distance to a teacher's softened answers (Hinton, Vinyals, Dean, arXiv 1503.02531, section 2).

    Args:
        logits: `float32 (N, C)`.
        teacher: `float32 (N, C)`, its logits.
        temperature: both are divided by it; the distance is multiplied by its square, as gradients shrink with that.
    """
    distance = functional.kl_div(
        functional.log_softmax(logits / temperature, 1),
        functional.log_softmax(teacher / temperature, 1),
        log_target=True,
        reduction="batchmean",
    )
    return temperature**2 * distance


def deferral_loss(logits: Tensor, truths: Tensor, weight: float) -> Tensor:
    """Gatekeeper's loss: be sure where the answer is right, and unsure where it is wrong.

    The cross-entropy of the pictures that the network answers rightly, and for the others the Kullback-Leibler
    divergence of its answer from the uniform distribution, KL(p || U) (arXiv 2502.19335, section 3.2). The smaller the
    weight, the more the network learns to leave to the big model, and the more accuracy of its own it gives up.

    Args:
        logits: `float32 (N, C)`.
        truths: `int64 (N,)`.
        weight: alpha, the share of the right answers' part, in (0, 1).
    """
    chances = functional.log_softmax(logits, 1)
    right = logits.argmax(1) == truths
    sure = functional.nll_loss(chances, truths, reduction="none")
    unsure = (chances.exp() * chances).sum(1) + math.log(logits.shape[1])  # KL(p || U) = log C - H(p)
    return torch.where(right, weight * sure, (1 - weight) * unsure).mean()
