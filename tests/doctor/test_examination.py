"""The examination: a fault in one check never stops the others."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from doctor_parts import board

from edge_sdk.doctor.examination import CHECKS, examine, has_faults
from edge_sdk.doctor.finding import Asked, Case, Check, Finding, Level, note, ok
from edge_sdk.doctor.machine import Machine


def test_a_failure_a_hang_and_nothing_to_say() -> None:
    forever = threading.Event()

    def hang(case: Case) -> Finding:
        forever.wait()
        return ok("too late")

    def fail(case: Case) -> Finding:
        raise ZeroDivisionError("by\nzero")

    def use(case: Case) -> Finding:
        return note(f"{case.value('fine', 'number')} {case.value('none', 'number')} {case.failed('fails')}")

    checks = (
        Check("fine", "a", lambda case: ok("good", number=3)),
        Check("fails", "a", fail),
        Check("hangs", "b", hang, limit_s=0.05),
        Check("none", "b", lambda case: None),
        Check("uses", "b", use),
    )
    started: list[str] = []
    lines = list(examine(Asked(), Machine(), checks=checks, starting=lambda check: started.append(check.name)))
    forever.set()
    assert started == ["fine", "fails", "hangs", "none", "uses"]
    levels = [Level.OK, Level.FAULT, Level.FAULT, Level.NOTE]
    assert [line.finding.level for line in lines] == levels and has_faults(lines)
    assert "ZeroDivisionError: by\\nzero" in lines[1].finding.found
    assert "within 0.05 s" in lines[2].finding.found and lines[3].finding.found == "3 None True"
    assert not has_faults([lines[0], lines[3]])


@pytest.mark.parametrize(
    ("name", "faults"),
    [("pi_zero_2_w", {"power"}), ("pi_5", set()), ("compute_module_4", {"disk"}), ("pc", set()), ("sandbox", set())],
)
def test_whole_boards(tmp_path: Path, name: str, faults: set[str]) -> None:
    asked = Asked(state=tmp_path / "state", upload_budget="5MB/day", compute_budget="2GMAC/s", cloud_budget="1TMAC/day")
    checks = [check for check in CHECKS if check.subject not in ("packages", "model")]
    lines = list(examine(asked, board(name, tmp_path / "root"), checks=checks))
    assert {line.check.name for line in lines if line.finding.level is Level.FAULT} == faults
    assert not [line for line in lines if "this check failed" in line.finding.found]
    for line in lines:
        assert line.finding.do or line.finding.level in (Level.OK, Level.NOTE), line
    assert {line.check.subject for line in lines} >= {"machine", "disk", "clock", "camera", "state", "budgets"}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_each_check_has_a_name_of_its_own_and_an_end(check: Check) -> None:
    assert [one.name for one in CHECKS].count(check.name) == 1
    assert check.name.replace("-", "").replace("2", "").isalpha() and 0 < check.limit_s <= 300
