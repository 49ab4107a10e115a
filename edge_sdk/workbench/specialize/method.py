"""How a network is cut: settings, the limits of each round, and what comes of it."""

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
    """How a network is cut.

    Attributes:
        pattern: "structured" removes channels, hidden units and heads; "unstructured" and "N:M" set weights to zero.
        allocation: "error": groups give up channels where it hurts the answers least; "even": the same share of each.
        schedule: "once", or "gradual": half of the remaining weights a round, each followed by distillation.
        pictures: that layers are solved on: the samples and changed views of them, until there are so many. Half as
            many find_sensitivities channels, where only an order is wanted.
        rounding: "joint": the bundle's int8 weights are rounded one after the other, each making up for the last;
            "nearest": as the exporter does.
        damping: share of the mean diagonal that is added to Hessians; more trusts the few samples less.
        recipe: of the distillation.
        seed: of all choices.
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
    """A cut network.

    Attributes:
        module: the smaller dense network, in eval mode.
        widths: channels of each group that stayed.
        dense: layers that were left whole, and why.
        masks: of a sparse network: True where a weight may be other than zero.
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
    """How many rounds of halving make something so many times smaller; a limit that is rounded down adds none."""
    return max(1, math.ceil(math.log2(factor) - 0.01))
