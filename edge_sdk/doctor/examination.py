"""All checks, one after the other: none stops the others, and none takes longer than it may."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from edge_sdk.doctor import (
    board,
    budgets,
    camera,
    clock,
    config_file,
    disk,
    link,
    model,
    network,
    packages,
    server,
    state,
    tls,
)
from edge_sdk.doctor.finding import Asked, Case, Check, Finding, Level, fault
from edge_sdk.doctor.machine import Machine
from edge_sdk.terminal.line import one_line

OF_A_SERVER: tuple[Check, ...] = (*link.CHECKS, *tls.CHECKS, *server.CHECKS, link.PACKETS)
"""Those that are run for each server."""
CHECKS: tuple[Check, ...] = (
    *config_file.CHECKS,
    *board.CHECKS,
    *disk.CHECKS,
    *clock.CHECKS,
    *packages.CHECKS,
    *camera.CHECKS,
    *model.CHECKS,
    *network.CHECKS,
    *OF_A_SERVER,
    *state.CHECKS,
    *budgets.CHECKS,
)
"""In the order of the report; a check may use what those before it have measured."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the report.

    Attributes:
        check: what was looked at.
        finding: what was found.
    """

    check: Check
    finding: Finding


def examine(
    asked: Asked,
    machine: Machine,
    *,
    checks: Sequence[Check] = CHECKS,
    starting: Callable[[Check], None] = lambda check: None,
) -> Iterator[Line]:
    """Run the checks in their order; each line as soon as it is known.

    Args:
        asked: what the person named.
        machine: where facts come from.
        checks: those to run.
        starting: called before each.
    """
    case = Case(machine, asked)
    yield from _examine(case, checks, starting)
    for place, target in enumerate(case.asked.further, 2):
        there = Case(machine, replace(case.asked, cloud=target, further=()), dict(case.found))
        for line in _examine(there, [check for check in checks if check in OF_A_SERVER], starting):
            named = replace(line.check, name=f"{line.check.name}-{place}", subject=f"server {target}")
            yield Line(named, line.finding)


def _examine(case: Case, checks: Sequence[Check], starting: Callable[[Check], None]) -> Iterator[Line]:
    for check in checks:
        starting(check)
        case.found.pop(check.name, None)
        finding = _look(check, case)
        if finding is not None:
            case.found[check.name] = finding
            yield Line(check, finding)


def has_faults(lines: Sequence[Line]) -> bool:
    """Whether one of the lines is a fault."""
    return any(line.finding.level is Level.FAULT for line in lines)


def _look(check: Check, case: Case) -> Finding | None:
    """One check on a thread of its own, which is left behind where it does not end in time."""
    result: list[Finding | None] = []

    def work() -> None:
        try:
            result.append(check.look(case))
        except Exception as error:
            said = f"this check failed: {type(error).__name__}: {one_line(error)}"
            result.append(fault(said, "please report this line"))

    thread = threading.Thread(target=work, name=f"edge-sdk doctor {check.name}", daemon=True)
    thread.start()
    thread.join(check.limit_s)
    if not result:
        return fault(
            f"no result within {check.limit_s:g} s",
            "what this check looks at hangs, or this machine is very busy: run it again alone",
        )
    return result[0]
