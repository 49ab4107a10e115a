"""How many channels each group keeps under given limits: by sensitivity, or the same share of every group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_sdk.errors import WorkbenchError
from edge_sdk.networks.pruning.groups import Group
from edge_sdk.workbench.specialize.cost import Cost

LEAST_SHARE = 1 / 64
"""Smallest share of a group's channels that stays."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Upper limits on what a network costs; None: unlimited.

    Attributes:
        parameters: number of weights.
        macs: multiply-accumulates per picture.
    """

    parameters: int | None = None
    macs: int | None = None

    def unmet(self, parameters: int, macs: int) -> list[tuple[int, int]]:
        """The exceeded limits, each as (index, limit); index 0 is parameters, 1 is MACs."""
        pairs = ((parameters, self.parameters), (macs, self.macs))
        return [(index, limit) for index, (now, limit) in enumerate(pairs) if limit is not None and now > limit]


@dataclass(frozen=True, slots=True, eq=False)
class Sensitivity:
    """How far the network's answers move when channels of a group are removed.

    Attributes:
        at: `float64 (channels + 1,)`; at[k] is the expected divergence of the answers, in nats, when k channels stay;
            infinity where k is below `least_of`.
        order: channels in the order of removal, without those that always stay.
    """

    at: NDArray[np.float64]
    order: tuple[int, ...]


def step_of(group: Group) -> int:
    """Channels removed in one step: a multiple of 8 in wide groups, as the runtime's kernels work on 8 at a time."""
    if group.kind == "heads":
        return 1
    return max(1, min(8, group.channels // 8), group.channels // 64 // 8 * 8)


def least_of(group: Group) -> int:
    """The smallest number of channels that a group may keep."""
    step = step_of(group)
    return min(group.channels, max(1, step, round(group.channels * LEAST_SHARE / step) * step))


def allocate(
    cost: Cost, groups: Sequence[Group], sensitivities: Mapping[str, Sensitivity], limits: Limits
) -> dict[str, int]:
    """Remove channels step by step, each time from the group whose answers move least for what the step saves.

    A step's saving is counted as a share of the limits that are still exceeded.

    Args:
        cost: of the network.
        groups: groups that can be pruned.
        sensitivities: of each group, by name.
        limits: what the result may cost.

    Returns:
        for each group, by name, the number of channels that stay.

    Raises:
        WorkbenchError: the limits cannot be met; the message gives the smallest possible cost.
    """
    numbers = {group.name: group.channels for group in groups}
    least = {group.name: least_of(group) for group in groups}
    _check(cost, least, limits)
    now = cost.of(numbers)
    while unmet := limits.unmet(*now):
        best: tuple[float, str, int] | None = None
        for group in groups:
            number = numbers[group.name]
            next_number = _next(number, group)
            if next_number < least[group.name]:
                continue
            then = cost.of({**numbers, group.name: next_number})
            saved = sum((now[index] - then[index]) / limit for index, limit in unmet)
            added = float(sensitivities[group.name].at[next_number] - sensitivities[group.name].at[number])
            price = added / saved if saved > 0 else np.inf
            if np.isfinite(price) and (best is None or price < best[0]):
                best = (price, group.name, next_number)
        if best is None:
            raise WorkbenchError(_impossible(cost, least, limits))
        numbers[best[1]] = best[2]
        now = cost.of(numbers)
    return numbers


def allocate_evenly(cost: Cost, groups: Sequence[Group], limits: Limits) -> dict[str, int]:
    """Keep the same share of every group: the largest that meets the limits; returns as `allocate`.

    Raises:
        WorkbenchError: as `allocate`.
    """
    _check(cost, {group.name: least_of(group) for group in groups}, limits)

    def at(share: float) -> dict[str, int]:
        numbers = {}
        for group in groups:
            step = step_of(group)
            number = int(group.channels * share / step) * step if share < 1 else group.channels
            numbers[group.name] = max(least_of(group), number)
        return numbers

    low, high = 0.0, 1.0
    if not limits.unmet(*cost.of(at(high))):
        return at(high)
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if limits.unmet(*cost.of(at(middle))) else (middle, high)
    return at(low)


def _next(number: int, group: Group) -> int:
    step = step_of(group)
    return (number - 1) // step * step


def _check(cost: Cost, least: Mapping[str, int], limits: Limits) -> None:
    if limits.unmet(*cost.of(least)):
        raise WorkbenchError(_impossible(cost, least, limits))


def _impossible(cost: Cost, least: Mapping[str, int], limits: Limits) -> str:
    parameters, macs = cost.of(least)
    wanted = []
    if limits.parameters is not None:
        wanted.append(f"{limits.parameters:,} parameters ({cost.parameters / limits.parameters:.1f}x fewer)")
    if limits.macs is not None:
        wanted.append(f"{limits.macs:,} MACs ({cost.macs / limits.macs:.1f}x fewer)")
    return (
        f"expected a target that this network can reach; got {' and '.join(wanted)}. The nearest possible is "
        f"{parameters:,} parameters ({cost.parameters / parameters:.1f}x fewer) and {macs:,} MACs "
        f"({cost.macs / macs:.1f}x fewer)"
    )
