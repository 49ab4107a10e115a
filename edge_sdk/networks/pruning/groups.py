"""Groups of channels that can only be removed together, and the layers that produce and read them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

RemainingChannels = Mapping[str, Tensor]
"""Maps a group's name to the channels that stay, `int64 (n,)`, ascending. A group that is not named stays whole."""


@dataclass(frozen=True, slots=True, eq=False)
class Member:
    """A layer that reads or produces the channels of a group.

    Attributes:
        layer: name of the module.
        index: `int64 (channels, block)`; row c holds the inputs (or outputs) of the layer that belong to channel c, as
            columns (or rows) of its weight `(outputs, inputs * kernel)`.
    """

    layer: str
    index: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Channels that are removed together.

    Attributes:
        name: of the first layer that makes them.
        kind: "channels" or "heads".
        channels: how many there are.
        consumers: layers that mix these channels into others. They lose inputs; their other weights can compensate.
        producers: layers that lose outputs.
        singles: layers that treat each channel alone (normalisation, depthwise convolution) and their parameters per
            channel; a bare parameter of the network has an empty name.
    """

    name: str
    kind: str
    channels: int
    consumers: tuple[Member, ...]
    producers: tuple[Member, ...]
    singles: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Structure:
    """The groups of one network.

    Attributes:
        groups: those that can be pruned, in the order of tracing.
        dense: layers whose outputs cannot be removed, by name, with the reason.
    """

    groups: tuple[Group, ...]
    dense: dict[str, str]

    def rows(self, layer: str, outputs: int, remaining: RemainingChannels) -> Tensor:
        """Rows of a layer's weight that stay, `int64 (n,)`, ascending."""
        return self._stay(layer, outputs, remaining, of_producers=True)

    def columns(self, layer: str, inputs: int, remaining: RemainingChannels) -> Tensor:
        """Columns of a layer's weight `(outputs, inputs * kernel)` that stay, `int64 (n,)`, ascending."""
        return self._stay(layer, inputs, remaining, of_producers=False)

    def _stay(self, layer: str, size: int, remaining: RemainingChannels, *, of_producers: bool) -> Tensor:
        stays = torch.ones(size, dtype=torch.bool)
        for group in self.groups:
            if group.name not in remaining:
                continue
            removed = complement(remaining[group.name], group.channels)
            for member in group.producers if of_producers else group.consumers:
                if member.layer == layer:
                    stays[member.index[removed].flatten()] = False
        return stays.nonzero().flatten()


def complement(remaining: Tensor, size: int) -> Tensor:
    """The indices below `size` that are not in `remaining`."""
    gone = torch.ones(size, dtype=torch.bool)
    gone[remaining] = False
    return gone.nonzero().flatten()
