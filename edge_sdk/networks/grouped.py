"""A network whose fine classes are summed into coarse ones, as one network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate

import torch
from torch import Tensor, nn

from edge_sdk.networks.label_map import make_label_map

_LEAST = 1e-30  # of a group's probability, whose logarithm a device can hold


class Summed(nn.Module):
    """A network whose class probabilities are summed into K groups.

    Takes the network's input and gives log-probabilities `(N, K)`. The sums are one product with a matrix of zeros and
    ones, which a device runs whole.
    """

    _belongs: Tensor

    def __init__(self, network: nn.Module, members: Sequence[Sequence[int]]) -> None:
        super().__init__()
        self.network = network
        self.num_classes = len(members)
        belongs = torch.zeros(len(members), 1 + max(max(group) for group in members))
        for number, group in enumerate(members):
            belongs[number, list(group)] = 1.0
        self.register_buffer("_belongs", belongs, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of the groups."""
        probabilities = self.network(x).softmax(1)[:, : self._belongs.shape[1]]
        return nn.functional.linear(probabilities, self._belongs.to(probabilities.dtype)).clamp(_LEAST, 1.0).log()


def summed(network: nn.Module, sizes: Sequence[int]) -> nn.Module:
    """A network whose outputs are summed in runs: the first `sizes[0]` of them, the next `sizes[1]`, and so on.

    The network itself where every size is 1, or where there are none.
    """
    if all(size == 1 for size in sizes):
        return network
    ends = list(accumulate(sizes))
    runs = [range(end - size, end) for end, size in zip(ends, sizes, strict=True)]
    return Summed(network, runs).train(network.training)


def grouped(network: nn.Module, labels: Sequence[str], mapping: Mapping[str, str]) -> tuple[Summed, tuple[str, ...]]:
    """A network with the labels that a label map leads to, and those labels.

    Raises:
        ConfigError: the map names a label that the network does not have.
    """
    found = make_label_map(labels, dict(mapping))
    members = [[int(fine) for fine in (found.index == group).nonzero()[0]] for group in range(len(found.labels))]
    return Summed(network, members).eval(), found.labels
