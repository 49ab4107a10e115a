"""What networks answer on samples, and statistics corrected by it."""

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
    """With corrected statistics, where they bring the answers nearer to the dense network's; else as it is."""
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
    """Share of the samples that a network names rightly."""
    return float((answers(module, samples, spec).argmax(1).numpy() == samples.truths).mean())
