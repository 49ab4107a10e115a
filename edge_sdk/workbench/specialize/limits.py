"""Targets translated into limits on parameters and MACs; targets on time and bytes by exporting and measuring."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
from torch import nn

from edge_sdk.durable.files import write_whole
from edge_sdk.errors import WorkbenchError
from edge_sdk.model.bundle import Bundle, InputSpec
from edge_sdk.networks.macs import count_macs, count_parameters
from edge_sdk.networks.pruning.groups import Structure
from edge_sdk.workbench.specialize.allocate import Limits, Sensitivity, allocate, least_of
from edge_sdk.workbench.specialize.bundles import OF_BIG, Bundles
from edge_sdk.workbench.specialize.cost import Cost
from edge_sdk.workbench.specialize.target import Target

TRIES = 6
CLOSE = 0.9
"""The search ends once the measured value is between this share of the target and the target."""

_MARGIN = 0.97  # share of the target that a new shape aims at


def counted_limits(whole: nn.Module, spec: InputSpec, targets: Sequence[Target]) -> Limits:
    """Limits from targets on parameters and MACs.

    Raises:
        WorkbenchError: a target is on time or bytes.
    """
    found: dict[str, int] = {}
    for target in targets:
        if target.measure not in ("params", "macs"):
            raise WorkbenchError(f"expected a target on params or macs with this pattern; got {target}")
        whole_cost = (
            count_parameters(whole) if target.measure == "params" else count_macs(whole, spec.width, spec.height)
        )
        found[target.measure] = int(target.limit(whole_cost))
    return Limits(found.get("params"), found.get("macs"))


def find_limits(
    whole: nn.Module,
    structure: Structure,
    sensitivities: Mapping[str, Sensitivity],
    spec: InputSpec,
    targets: Sequence[Target],
    bundles: Bundles,
    big: Callable[[], Bundle],
    *,
    file: Path | None = None,
    on_try: Callable[[int, int], None] | None = None,
) -> Limits:
    """Limits that meet all targets.

    A target on time or bytes scales the limit on MACs or parameters until an exported shape meets it and comes within
    `CLOSE` of it.

    Args:
        whole: the uncompressed network.
        structure: of it.
        sensitivities: of its groups.
        spec: what it takes.
        targets: all must hold.
        bundles: exports shapes.
        big: the uncompressed network's bundle, called only if a target is relative to its time or size.
        file: stores the limits, so that a second call does not measure again.
        on_try: called with the number of shapes tried, and the largest number to try.

    Raises:
        WorkbenchError: a target cannot be reached; the message gives the nearest possible value.
    """
    if file is not None and file.exists():
        return msgspec.json.decode(file.read_bytes(), type=Limits)
    cost = Cost(whole, structure, spec.width, spec.height)
    limits = counted_limits(whole, spec, [target for target in targets if target.measure in ("params", "macs")])
    allocate(cost, structure.groups, sensitivities, limits)  # refuses what cannot be
    wanted = _measured_targets(targets, big)
    if wanted:
        beside = big() if OF_BIG in wanted else None
        limits = _search(whole, structure, sensitivities, cost, limits, wanted, bundles, beside, on_try)
    if file is not None:
        content = msgspec.json.encode(limits)
        write_whole(file, content)
    return limits


def _measured_targets(targets: Sequence[Target], big: Callable[[], Bundle]) -> dict[str, float]:
    """The targets on time and bytes, by the keys of `Bundles.measure`."""
    wanted: dict[str, float] = {}
    for target in targets:
        if target.measure == "size":
            wanted["bytes"] = target.limit(big().model_path.stat().st_size if target.relative else 0)
        elif target.measure.startswith("latency"):
            wanted[OF_BIG if target.relative else "ms"] = target.limit(1)
    return wanted


def _search(
    whole: nn.Module,
    structure: Structure,
    sensitivities: Mapping[str, Sensitivity],
    cost: Cost,
    limits: Limits,
    wanted: Mapping[str, float],
    bundles: Bundles,
    beside: Bundle | None,
    on_try: Callable[[int, int], None] | None,
) -> Limits:
    fewest = {group.name: least_of(group) for group in structure.groups}
    floor, least = bundles.measure(whole, fewest, beside), cost.of(fewest)
    if short := [what for what, limit in wanted.items() if floor[what] > limit]:
        text = " and ".join(
            f"{wanted[what]:.3g} {what}, where {floor[what]:.3g} is the nearest possible" for what in short
        )
        raise WorkbenchError(f"expected a target that this network can reach; got {text}")
    asked, best = limits, None
    came: dict[str, float] = {}
    for number in range(TRIES):
        if on_try is not None:
            on_try(number, TRIES)
        numbers = allocate(cost, structure.groups, sensitivities, limits)
        came = bundles.measure(whole, numbers, beside)
        shares = {what: came[what] / limit for what, limit in wanted.items()}
        if max(shares.values()) <= 1:
            best = limits
            if max(shares.values()) >= CLOSE or not number:
                break
        spent = cost.of(numbers)
        limits = asked
        if "bytes" in wanted:
            shrunk = _scaled(asked.parameters, (least[0], floor["bytes"]), (spent[0], came["bytes"]), wanted["bytes"])
            limits = replace(limits, parameters=shrunk)
        for time in {"ms", OF_BIG} & wanted.keys():
            faster = _scaled(asked.macs, (least[1], floor[time]), (spent[1], came[time]), wanted[time])
            limits = replace(limits, macs=faster)
    if best is None:
        text = ", ".join(f"{limit:.3g} {what} (the last came to {came[what]:.3g})" for what, limit in wanted.items())
        raise WorkbenchError(f"expected to meet {text} in {TRIES} shapes; time varies where the machine is busy")
    return best


def _scaled(asked: int | None, least: tuple[int, float], now: tuple[int, float], target: float) -> int | None:
    """The limit that should bring what is measured to just below a target, between the least and what was asked for.

    Linear interpolation between the smallest shape and the present one, by cost and measured value, because a part of
    the file size and of the time does not shrink with the network.
    """
    share = (target * _MARGIN - least[1]) / (now[1] - least[1]) if now[1] > least[1] else 1 / _MARGIN
    wanted = max(least[0], int(least[0] + (now[0] - least[0]) * share))
    return wanted if asked is None else min(asked, wanted)
