"""Answers and accuracy of networks on samples, and corrected statistics where these help."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from edge_sdk.model.bundle import InputSpec
from edge_sdk.networks.pruning.groups import RemainingChannels
from edge_sdk.workbench.specialize.norms import correct_statistics
from edge_sdk.workbench.specialize.samples import Samples, first
from edge_sdk.workbench.specialize.sensitivity import divergence

_COMPARED = 128


def corrected(
    dense: nn.Module, cut: nn.Module, remaining: RemainingChannels, samples: Samples, spec: InputSpec
) -> nn.Module:
    """A copy of `cut` with corrected statistics if its answers are nearer to the dense network's, else `cut`."""
    better = copy.deepcopy(cut)
    correct_statistics(dense, better, remaining, samples, spec)
    few = first(samples, _COMPARED)
    wanted, now, then = (answers(module, few, spec) for module in (dense, cut, better))
    return better if divergence(wanted, then) < divergence(wanted, now) else cut


def answers(module: nn.Module, samples: Samples, spec: InputSpec) -> Tensor:
    """Logits on all samples, `float32 (N, C)`."""
    with torch.inference_mode():
        return torch.cat([module(batch) for batch in samples.batches(spec)])


def accuracy(module: nn.Module, samples: Samples, spec: InputSpec) -> float:
    """Share of the samples that a network answers rightly."""
    return float((answers(module, samples, spec).argmax(1).numpy() == samples.truths).mean())
