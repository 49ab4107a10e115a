"""The report: lines on a terminal, or one JSON object for programs.

The JSON's schema number rises only where a field goes or changes its meaning; checks, fields and values may be added.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.text import Text

from edge_sdk import __version__
from edge_sdk.doctor.examination import CHECKS, Line, has_faults
from edge_sdk.doctor.finding import Level
from edge_sdk.terminal.line import literal

SCHEMA = 1
_STYLES = {Level.OK: "green", Level.NOTE: "cyan", Level.WARNING: "bold yellow", Level.FAULT: "bold red"}
_PLURALS = {Level.FAULT: "faults", Level.WARNING: "warnings", Level.NOTE: "notes", Level.OK: "ok"}
_LEVEL_WIDTH = max(map(len, Level))
_CHECK_WIDTH = max(len(check.name) for check in CHECKS)
_INDENT = 2 + _LEVEL_WIDTH + 2 + _CHECK_WIDTH + 2
_NARROW_INDENT = 4
_LEAST_TEXT = 40  # letters beside the columns; below that, text stands under them
_WIDEST = 120


def as_json(lines: Sequence[Line], at_s: float, board: str) -> str:
    """The whole report as JSON (docs/reference/commands/doctor.md has its fields).

    Args:
        lines: of the report.
        at_s: when it was made, seconds since 1970 by the machine's clock.
        board: what the machine calls itself.
    """
    content: dict[str, Any] = {
        "schema": SCHEMA,
        "sdk": __version__,
        "at": datetime.fromtimestamp(int(at_s), UTC).isoformat(),
        "board": board,
        "ok": not has_faults(lines),
        "counts": _counts(lines),
        "findings": [
            {
                "subject": line.check.subject,
                "check": line.check.name,
                "level": line.finding.level.value,
                "found": literal(line.finding.found),
                "do": literal(line.finding.do),
                "values": dict(line.finding.values),
            }
            for line in lines
        ],
    }
    return json.dumps(content, ensure_ascii=False, indent=2)


class Printer:
    """Prints lines as they come, by subject.

    Args:
        console: where to.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._subject = ""

    def line(self, line: Line) -> None:
        """Print one."""
        check, finding = line.check, line.finding
        if check.subject != self._subject:
            self._console.print()
            self._subject = check.subject
        width = min(self._console.width, _WIDEST)
        beside = width - _INDENT >= _LEAST_TEXT
        head = Text("  ")
        head.append(f"{finding.level.value:<{_LEVEL_WIDTH}}", style=_STYLES[finding.level])
        head.append(f"  {check.name:<{_CHECK_WIDTH}}  " if beside else f"  {check.name}", style="bold")
        said = Text(literal(finding.found))
        if finding.do:
            said.append(f"\n-> {literal(finding.do)}", style=_STYLES[finding.level].removeprefix("bold "))
        indent = _INDENT if beside else _NARROW_INDENT
        rows = list(said.wrap(self._console, max(1, width - indent), overflow="fold"))
        first = head + rows.pop(0) if beside and rows else head
        for row in (first, *(Text(" " * indent) + row for row in rows)):
            row.rstrip()
            self._console.print(row, soft_wrap=True)

    def end(self, lines: Sequence[Line]) -> None:
        """Print how many there are of each level, and where to look."""
        counts = _counts(lines)
        said = Text("\n")
        parts = [level for level in (Level.FAULT, Level.WARNING, Level.NOTE, Level.OK) if counts[level.value]]
        for number, level in enumerate(parts):
            count = counts[level.value]
            name = level.value if count == 1 else _PLURALS[level]
            said.append(", " if number else "").append(f"{count} {name}", style=_STYLES[level])
            if level in (Level.FAULT, Level.WARNING):
                said.append(f" ({', '.join(line.check.name for line in lines if line.finding.level is level)})")
        self._console.print(said)


def _counts(lines: Sequence[Line]) -> dict[str, int]:
    return {level.value: sum(line.finding.level is level for line in lines) for level in Level}
