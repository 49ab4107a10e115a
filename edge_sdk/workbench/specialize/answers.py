"""Answers and accuracy of networks on samples, and corrected statistics where these help."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edge_sdk.model.bundle import InputSpec
from edge_sdk.networks.pruning.groups import RemainingChannels
from edge_sdk.workbench.specialize.norms import correct_statistics
from edge_sdk.workbench.specialize.samples import Samples, first
from edge_sdk.workbench.specialize.sensitivity import divergence

_COMPARED = 128

OnDone = Callable[[int, int], None]
"""Called with the samples done, and of how many."""


def corrected(
    dense: nn.Module, cut: nn.Module, remaining: RemainingChannels, samples: Samples, spec: InputSpec
) -> nn.Module:
    """A copy of `cut` with corrected statistics if its answers are nearer to the dense network's, else `cut`."""
    better = copy.deepcopy(cut)
    correct_statistics(dense, better, remaining, samples, spec)
    few = first(samples, _COMPARED)
    wanted, now, then = (answers(module, few, spec) for module in (dense, cut, better))
    return better if divergence(wanted, then) < divergence(wanted, now) else cut


def answers(module: nn.Module, samples: Samples, spec: InputSpec, on_done: OnDone | None = None) -> Tensor:
    """Logits on all samples, `float32 (N, C)`; `on_done` is called with the samples done, and of how many."""
    found: list[Tensor] = []
    done = 0
    with torch.inference_mode():
        for batch in samples.batches(spec):
            found.append(module(batch))
            done += len(batch)
            if on_done is not None:
                on_done(done, len(samples))
    return torch.cat(found)


def right_answers(
    module: nn.Module, samples: Samples, spec: InputSpec, on_done: OnDone | None = None
) -> NDArray[np.bool_]:
    """Which pictures of the samples a network names rightly, `bool (P,)`; `on_done` as for `answers`."""
    return samples.right(answers(module, samples, spec, on_done).numpy())


def accuracy(module: nn.Module, samples: Samples, spec: InputSpec) -> float:
    """Share of the pictures that a network answers rightly."""
    return float(right_answers(module, samples, spec).mean())
