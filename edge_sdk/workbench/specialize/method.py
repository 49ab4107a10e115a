"""Settings of a compression, the limits of each round, and the result."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import msgspec
from torch import Tensor, nn

from edge_sdk.workbench.specialize.allocate import Limits
from edge_sdk.workbench.specialize.cost import Cost
from edge_sdk.workbench.specialize.recipe import Recipe


class Method(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of a compression.

    Attributes:
        pattern: "structured" removes channels, hidden units and heads; "unstructured" and "N:M" set weights to zero.
        allocation: "error" removes channels where the answers move least; "even" removes the same share of each group.
        schedule: "once", or "gradual": rounds that each halve the remaining weights and end with distillation.
        pictures: number of pictures on which layers are solved: the samples, and augmented views of them up to this
            number. Sensitivities, which need only an order of channels, are measured on half as many.
        rounding: "joint" rounds the bundle's int8 weights one after the other, each compensating for the ones before
            (GPTQ); "nearest" rounds each by itself, as the exporter does.
        damping: share of the mean diagonal that is added to Hessians; a larger share trusts the few samples less.
        recipe: of the distillation.
        seed: of all random choices.
    """

    pattern: str = "structured"
    allocation: Literal["error", "even"] = "error"
    schedule: Literal["once", "gradual"] = "once"
    rounding: Literal["joint", "nearest"] = "joint"
    pictures: int = 400
    damping: float = 0.01
    recipe: Recipe = Recipe()
    seed: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Compressed:
    """A compressed network.

    Attributes:
        module: the smaller dense network, in eval mode.
        widths: channels of each group that stayed.
        dense: layers that were not cut, by name, with the reason.
        masks: of a sparse network, by layer: True where a weight may differ from 0.
    """

    module: nn.Module
    widths: dict[str, int]
    dense: dict[str, str]
    masks: Mapping[str, Tensor] = field(default_factory=dict)


def rounds_of(cost: Cost, limits: Limits, method: Method) -> list[Limits]:
    """The limits of each round."""
    if method.schedule == "once":
        return [limits]
    factors = [
        whole / limit
        for whole, limit in ((cost.parameters, limits.parameters), (cost.macs, limits.macs))
        if limit is not None
    ]
    number = halvings(max(factors, default=1.0))

    def at(whole: int, limit: int | None, share: float) -> int | None:
        return None if limit is None else max(limit, round(whole * (limit / whole) ** share))

    return [
        Limits(
            at(cost.parameters, limits.parameters, (index + 1) / number),
            at(cost.macs, limits.macs, (index + 1) / number),
        )
        for index in range(number)
    ]


def halvings(factor: float) -> int:
    """Number of halvings that reduce something `factor` times; a limit that was rounded down adds none."""
    return max(1, math.ceil(math.log2(factor) - 0.01))
