"""Boards by the files of their kernels, and single checks of the doctor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edge_sdk.doctor.examination import CHECKS
from edge_sdk.doctor.finding import Asked, Case, Finding
from edge_sdk.doctor.machine import Machine

BOARDS = Path(__file__).resolve().parent / "doctor" / "boards"
NOW_S = 1_795_772_400.0  # November 2026
ARCHITECTURES = {"pc": "x86_64"}


def board_files(name: str, root: Path) -> Path:
    """Write the files of a board below `root`: sections `== path` with their text, or `== path -> target`."""
    links = []
    for section in f"\n{(BOARDS / f'{name}.txt').read_text()}".split("\n== ")[1:]:
        head, _, text = section.partition("\n")
        path, _, target = head.partition(" -> ")
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        if target:
            links.append((root / path, target))
        else:
            (root / path).write_text(text.replace("<NUL>", "\0") + "\n")
    for link, target in links:
        link.symlink_to(target)
        assert link.resolve(strict=True), link
    return root


def board(name: str, root: Path, *, now_s: float = NOW_S, synchronised: bool | None = False, **options: Any) -> Machine:
    """A board without other programs, at a moment of November 2026."""
    given: dict[str, Any] = {"programs": False, "architecture": ARCHITECTURES.get(name, "aarch64")} | options
    return Machine(board_files(name, root), wall_s=lambda: now_s, synchronised=lambda: synchronised, **given)


def look(name: str, case: Case) -> Finding | None:
    """Run one check, and keep what it finds as the examination does."""
    (check,) = [one for one in CHECKS if one.name == name]
    finding = check.look(case)
    if finding is not None:
        case.found[name] = finding
    return finding


def found(name: str, machine: Machine, asked: Asked | None = None, *before: str) -> Finding:
    """What one check finds, after those named before it."""
    case = Case(machine, asked or Asked())
    for one in before:
        look(one, case)
    finding = look(name, case)
    assert finding is not None
    return finding
