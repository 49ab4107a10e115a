"""Targets on time and bytes become limits that are met, closely and in few measurements."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import little_task
import pytest
from torch import nn

from edge_sdk.errors import WorkbenchError
from edge_sdk.model.bundle import Bundle
from edge_sdk.networks.pruning.groups import Structure
from edge_sdk.networks.pruning.structure import find_structure
from edge_sdk.workbench.specialize import limits as module_under_test
from edge_sdk.workbench.specialize.allocate import Limits, Sensitivity, allocate
from edge_sdk.workbench.specialize.bundles import OF_BIG
from edge_sdk.workbench.specialize.cost import Cost
from edge_sdk.workbench.specialize.limits import counted_limits, find_limits
from edge_sdk.workbench.specialize.sensitivity import measure_sensitivities
from edge_sdk.workbench.specialize.target import parse_targets

SPEC = little_task.SPEC


@functools.cache
def setting() -> tuple[nn.Module, Structure, Cost, dict[str, Sensitivity]]:
    big, _ = little_task.trained()
    structure = find_structure(big, 32, 32)
    harm = measure_sensitivities(big, structure, little_task.squares(4), SPEC, damping=0.01)
    return big, structure, Cost(big, structure, 32, 32), harm


class Machine:
    """Stands in for exports and a clock: milliseconds and bytes as functions of the shape."""

    def __init__(self, power: float = 1.0, fixed: float = 0.05) -> None:
        self.power, self.fixed, self.asked, self.busy = power, fixed, 0, 1.0

    def measure(self, module: nn.Module, numbers: Mapping[str, int], beside: Bundle | None) -> dict[str, float]:
        self.asked += 1
        self.busy = 4.5 - self.busy  # now quiet, now not
        cost = setting()[2]
        parameters, macs = cost.of(numbers)
        ms = self.fixed + (1 - self.fixed) * (macs / cost.macs) ** self.power
        share = {} if beside is None else {OF_BIG: ms, "ms": self.busy * ms}
        return {"ms": ms, **share, "bytes": 1e5 * (self.fixed + (1 - self.fixed) * parameters / cost.parameters)}


def found(
    machine: Machine, *targets: str, big_bundle: Any = None, **given: Any
) -> tuple[Limits, dict[str, float], tuple[int, int]]:
    """Limits, what the shape under them comes to, and what it costs."""
    big, structure, cost, harm = setting()

    def never() -> Any:
        assert big_bundle is not None, "no target is relative to the big bundle"
        return big_bundle

    double: Any = machine
    limits = find_limits(big, structure, harm, SPEC, parse_targets(targets), double, never, **given)
    numbers = allocate(cost, structure.groups, harm, limits)
    return limits, Machine(machine.power, machine.fixed).measure(big, numbers, None), cost.of(numbers)


@pytest.mark.parametrize("power", [0.6, 1.0, 1.6])
@pytest.mark.parametrize("fixed", [0.02, 0.2, 0.4])
@pytest.mark.parametrize("wanted", [0.8, 0.5])
def test_a_target_on_time_is_met_closely_in_few_tries(power: float, fixed: float, wanted: float) -> None:
    machine = Machine(power, fixed)
    _, came, _ = found(machine, f"latency_ms={wanted}")
    assert 0.8 * wanted <= came["ms"] <= wanted
    assert machine.asked <= 1 + module_under_test.TRIES


def test_a_share_of_the_big_models_time_is_met_on_a_machine_that_is_busy_at_times() -> None:
    machine = Machine(power=0.8)
    _, came, _ = found(machine, "latency=2x", big_bundle=object())
    assert 0.8 * 0.5 <= came["ms"] <= 0.5 and machine.asked <= 1 + module_under_test.TRIES


def test_a_target_on_bytes_is_met_where_most_of_the_file_does_not_shrink() -> None:
    machine = Machine(fixed=0.6)
    _, came, _ = found(machine, "size=70kB")
    assert 0.9 * 70e3 <= came["bytes"] <= 70e3 and machine.asked <= 5


def test_several_targets_hold_together() -> None:
    cost = setting()[2]
    limits, came, spent = found(Machine(), "latency_ms=0.6,params=2x")
    assert limits.parameters == cost.parameters // 2
    assert came["ms"] <= 0.6 and spent[0] <= cost.parameters // 2
    # Time forces a small shape; bytes would allow a larger one than the weights that were asked for.
    limits, came, spent = found(Machine(), "latency_ms=0.4,params=1.5x,size=95kB")
    assert came["ms"] <= 0.4 and came["bytes"] <= 95e3 and spent[0] <= cost.parameters / 1.5
    assert limits.parameters is not None and limits.parameters <= cost.parameters / 1.5
    _, came, spent = found(Machine(), "size=50kB,macs=1.2x,latency_ms=0.95")
    assert came["bytes"] <= 50e3 and spent[1] <= cost.macs / 1.2


def test_counted_targets_need_no_measuring() -> None:
    cost, machine = setting()[2], Machine()
    assert found(machine, "params=2x")[0] == Limits(cost.parameters // 2)
    assert found(machine, f"macs={cost.macs // 2}", "params=1.5x")[0] == Limits(
        int(cost.parameters / 1.5), cost.macs // 2
    )
    assert machine.asked == 0
    big = setting()[0]
    assert counted_limits(big, SPEC, parse_targets(["params=2x"])) == Limits(cost.parameters // 2)
    assert counted_limits(big, SPEC, []) == Limits()
    with pytest.raises(WorkbenchError, match="a target on params or macs with this pattern; got latency_ms=2"):
        counted_limits(big, SPEC, parse_targets(["latency_ms=2"]))


def test_what_was_found_is_kept(tmp_path: Path) -> None:
    file, machine, told = tmp_path / "deep" / "limits.json", Machine(), []
    first = found(machine, "latency_ms=0.5", file=file, on_try=lambda done, of: told.append((done, of)))[0]
    asked = machine.asked
    assert told and told[0] == (0, module_under_test.TRIES)
    assert found(machine, "latency_ms=0.5", file=file)[0] == first and machine.asked == asked


def test_the_impossible_is_refused_with_what_is_nearest() -> None:
    machine = Machine(fixed=0.3)
    with pytest.raises(WorkbenchError, match=r"got 0.2 ms, where 0.3\d* is the nearest possible"):
        found(machine, "latency_ms=0.2")
    with pytest.raises(WorkbenchError, match=r"got .* ms, where .* and 100 bytes, where .* is the nearest possible"):
        found(machine, "latency_ms=0.1,size=100B")
    assert machine.asked == 2
    with pytest.raises(WorkbenchError, match="The nearest possible is"):
        found(machine, "params=1000x")


def test_a_machine_that_answers_as_it_likes_is_told() -> None:
    class Busy(Machine):
        def measure(self, module: nn.Module, numbers: Mapping[str, int], beside: Bundle | None) -> dict[str, float]:
            self.asked += 1
            return {"ms": 0.1 if self.asked == 1 else 9.0, "bytes": 1.0}

    with pytest.raises(WorkbenchError, match=r"to meet 0.5 ms \(the last came to 9\) in 6 shapes; time varies"):
        found(Busy(), "latency_ms=0.5")
