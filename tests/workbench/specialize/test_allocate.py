"""How many channels of each group stay: limits are met, not by more than a step, and where it costs least."""

from __future__ import annotations

import functools
import itertools
from typing import Any

import little_task
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk.errors import WorkbenchError
from edge_sdk.networks.pruning.groups import Group, Structure
from edge_sdk.networks.pruning.structure import find_structure
from edge_sdk.workbench.specialize.allocate import (
    Limits,
    Sensitivity,
    allocate,
    allocate_evenly,
    least_of,
    step_of,
)
from edge_sdk.workbench.specialize.cost import Cost


@functools.cache
def loaded(arch: str) -> tuple[Cost, Structure]:
    module, _ = little_task.network(arch)
    structure = find_structure(module, 32, 32)
    return Cost(module, structure, 32, 32), structure


def sensitivities(groups: tuple[Group, ...], seed: int, power: float = 1.5) -> dict[str, Sensitivity]:
    """Convex curves, infinite below the least that may stay."""
    rng = np.random.default_rng(seed)
    found = {}
    for group in groups:
        gone = group.channels - np.arange(group.channels + 1)
        at = 10 ** rng.uniform(-3, 0) * (gone / group.channels) ** power
        at[: least_of(group)] = np.inf
        found[group.name] = Sensitivity(at, tuple(range(group.channels - least_of(group))))
    return found


def levels(group: Group) -> list[int]:
    """The numbers of channels that may stay."""
    step, least = step_of(group), least_of(group)
    return sorted({group.channels, *(n for n in range(step, group.channels, step) if n >= least)})


def whole(structure: Structure) -> list[tuple[str, int]]:
    return [(group.name, group.channels) for group in structure.groups]


@settings(max_examples=25)
@given(
    st.sampled_from(["resnet10t", "vit_tiny_patch16_224", "lcnet_050"]),
    st.floats(1.05, 4),
    st.one_of(st.none(), st.floats(1.05, 4)),
    st.integers(0, 100),
)
def test_limits_are_met_and_the_last_step_was_needed(arch: str, fewer: float, macs: float | None, seed: int) -> None:
    cost, structure = loaded(arch)
    limits = Limits(int(cost.parameters / fewer), None if macs is None else int(cost.macs / macs))
    if limits.unmet(*cost.of({group.name: least_of(group) for group in structure.groups})):
        return
    numbers = allocate(cost, structure.groups, sensitivities(structure.groups, seed), limits)
    assert not limits.unmet(*cost.of(numbers))
    needed = False
    for group in structure.groups:
        number, choices = numbers[group.name], levels(group)
        assert number in choices
        if number < group.channels:
            more = choices[choices.index(number) + 1]
            needed |= bool(limits.unmet(*cost.of({**numbers, group.name: more})))
    assert needed


def test_without_limits_nothing_goes() -> None:
    cost, structure = loaded("resnet10t")
    whole = {group.name: group.channels for group in structure.groups}
    for limits in (Limits(), Limits(cost.parameters, cost.macs)):
        assert allocate(cost, structure.groups, sensitivities(structure.groups, 0), limits) == whole
        assert allocate_evenly(cost, structure.groups, limits) == whole


def test_a_tighter_limit_never_gives_a_group_more() -> None:
    cost, structure = loaded("resnet10t")
    harm = sensitivities(structure.groups, 3)
    before = {group.name: group.channels for group in structure.groups}
    for fewer in (1.1, 1.3, 1.7, 2.2, 3, 4):
        now = allocate(cost, structure.groups, harm, Limits(int(cost.parameters / fewer)))
        assert all(now[name] <= before[name] for name in now)
        before = now


@pytest.mark.parametrize("seed", range(6))
def test_close_to_the_best_of_all_allocations(seed: int) -> None:
    """Three groups of a network, every combination tried: the divergence is near the least that meets the limit."""
    cost, structure = loaded("resnet10t")
    groups = tuple(group for group in structure.groups if group.channels <= 16)[:3]
    harm = sensitivities(groups, seed)
    least = cost.of({group.name: least_of(group) for group in groups})[0]
    limits = Limits((cost.parameters + least) // 2)

    def total(numbers: dict[str, int]) -> float:
        return sum(float(harm[name].at[number]) for name, number in numbers.items())

    names = [group.name for group in groups]
    possible = (dict(zip(names, one, strict=True)) for one in itertools.product(*(levels(group) for group in groups)))
    best = min(total(numbers) for numbers in possible if not limits.unmet(*cost.of(numbers)))
    found = total(allocate(cost, groups, harm, limits))
    worst = total({group.name: least_of(group) for group in groups})
    assert best <= found + 1e-12 and found - best <= 0.15 * (worst - best)


def test_a_group_that_costs_nothing_goes_first() -> None:
    cost, structure = loaded("resnet10t")
    harm = sensitivities(structure.groups, 0)
    free = max(structure.groups, key=lambda group: cost.parameters - cost.of({group.name: least_of(group)})[0])
    harm[free.name] = Sensitivity(np.where(np.isinf(harm[free.name].at), np.inf, 0.0), harm[free.name].order)
    numbers = allocate(cost, structure.groups, harm, Limits(int(cost.parameters * 0.9)))
    assert {name for name, number in numbers.items() if number < dict(whole(structure))[name]} == {free.name}


def test_the_impossible_is_refused_with_what_is_nearest() -> None:
    cost, structure = loaded("vit_tiny_patch16_224")
    parameters, macs = cost.of({group.name: least_of(group) for group in structure.groups})
    harm = sensitivities(structure.groups, 0)
    for limits, words in (
        (Limits(parameters - 1), f"got {parameters - 1:,} parameters "),
        (Limits(None, macs - 1), f"got {macs - 1:,} MACs "),
        (Limits(parameters - 1, macs), "parameters .* and .* MACs "),
    ):
        nearest = f"{words}.*nearest possible is {parameters:,} parameters .* and {macs:,} MACs"
        with pytest.raises(WorkbenchError, match=nearest):
            allocate(cost, structure.groups, harm, limits)
        with pytest.raises(WorkbenchError, match=nearest):
            allocate_evenly(cost, structure.groups, limits)
    exactly = Limits(parameters, macs)
    for found in (allocate(cost, structure.groups, harm, exactly), allocate_evenly(cost, structure.groups, exactly)):
        assert found == {group.name: least_of(group) for group in structure.groups}


@settings(max_examples=25)
@given(st.sampled_from(["resnet10t", "vit_tiny_patch16_224", "lcnet_050"]), st.floats(1.05, 4))
def test_evenly_every_group_keeps_about_the_same_share(arch: str, fewer: float) -> None:
    cost, structure = loaded(arch)
    limits = Limits(int(cost.parameters / fewer))
    if limits.unmet(*cost.of({group.name: least_of(group) for group in structure.groups})):
        return
    numbers = allocate_evenly(cost, structure.groups, limits)
    assert not limits.unmet(*cost.of(numbers))
    low, high = 0.0, 1.0
    for group in structure.groups:
        number = numbers[group.name]
        assert number in levels(group)
        high = min(high, 1.0 if number == group.channels else (number + step_of(group)) / group.channels)
        low = max(low, 0.0 if number == least_of(group) else number / group.channels)
    assert low <= high + 1e-9  # one share explains every number
    more = {group.name: min(group.channels, numbers[group.name] + step_of(group)) for group in structure.groups}
    assert limits.unmet(*cost.of(more))


@given(st.integers(1, 4096))
def test_steps_and_least_numbers_fit_the_group(channels: int) -> None:
    empty: tuple[Any, ...] = ()
    group, heads = (Group("g", kind, channels, empty, empty, empty) for kind in ("channels", "heads"))
    step, least = step_of(group), least_of(group)
    assert 1 <= step <= max(1, channels // 8) and 1 <= least <= channels
    assert step < 8 or step % 8 == 0
    assert least % step == 0 or least == channels
    assert step_of(heads) == 1 and 1 <= least_of(heads) <= max(1, round(channels / 64))
