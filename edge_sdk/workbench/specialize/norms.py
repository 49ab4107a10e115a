"""Correction of batch-normalisation statistics after a cut."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from edge_sdk.model.bundle import InputSpec
from edge_sdk.networks.pruning.groups import RemainingChannels
from edge_sdk.networks.pruning.structure import prune
from edge_sdk.workbench.specialize.layers import watching
from edge_sdk.workbench.specialize.samples import Samples

_STATISTICS = 128  # samples on which statistics are compared


def correct_statistics(
    dense: nn.Module, pruned: nn.Module, remaining: RemainingChannels, samples: Samples, spec: InputSpec
) -> None:
    """Re-estimate the statistics of all batch normalisations of a cut network, in place, in forward order.

    A few samples estimate a mean poorly, but a difference well: the dense network's own statistics, which come from all
    its training pictures, are shifted and scaled by what the cut changed on the samples. Each layer's inputs come
    from layers whose statistics are corrected already.

    Args:
        dense: the network before the cut, in eval mode; it is not changed.
        pruned: the network to correct, in eval mode.
        remaining: the channels that stayed, by the group's name.
        samples: of the task.
        spec: what the networks take.
    """
    batch = next(samples.batches(spec, _STATISTICS))
    before, after = _norms(dense), _norms(pruned)
    numbered = copy.deepcopy(dense)
    for layer in _norms(numbered).values():
        layer.running_mean = torch.arange(len(layer.running_mean)).float()
    prune(numbered, spec.width, spec.height, remaining)
    stayed = {name: layer.running_mean.long() for name, layer in _norms(numbered).items()}
    seen: dict[str, tuple[Tensor, Tensor]] = {}
    with torch.no_grad(), watching(dense, list(before), lambda name, x: seen.update({name: _moments(x)})):
        dense(batch)

    def correct(name: str, inputs: Tensor) -> None:
        index, layer = stayed[name], after[name]
        mean, var = _moments(inputs)
        old_mean, old_var = (one[index] for one in seen[name])
        layer.running_mean.copy_(before[name].running_mean[index] + mean - old_mean)
        ratio = (var / old_var.clamp_min(1e-12)).clamp(0.25, 4.0)
        layer.running_var.copy_(before[name].running_var[index] * ratio)

    with torch.no_grad(), watching(pruned, list(after), correct):
        pruned(batch)


def _norms(module: nn.Module) -> dict[str, Any]:
    return {
        name: layer
        for name, layer in module.named_modules()
        if isinstance(layer, nn.modules.batchnorm._BatchNorm) and layer.running_mean is not None
    }


def _moments(inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of each channel of `(N, C, ...)`."""
    flat = inputs.transpose(0, 1).flatten(1)
    return flat.mean(1), flat.var(1, unbiased=False)
