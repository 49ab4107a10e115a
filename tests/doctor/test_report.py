"""The report on terminals of all widths, and as JSON."""

from __future__ import annotations

import io
import json
import re

import pytest
from doctor_parts import NOW_S
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from edge_sdk.doctor.board import CHECKS
from edge_sdk.doctor.examination import Line
from edge_sdk.doctor.finding import Finding, Level, fault, note, ok, warning
from edge_sdk.doctor.report import Printer, as_json

LONG = "a bundle at /home/pi/a-folder-of-a-rather-long-name/bundle-[/b]-of-the-north-gate, "
LINES = [
    Line(check, finding)
    for check, finding in zip(
        CHECKS,
        [ok("3.11.2"), note("a note"), warning(LONG * 3, LONG * 2), fault("\x1b[31mred\nlines", "do\tit")],
        strict=False,
    )
]


def printed(width: int, lines: list[Line] = LINES) -> str:
    file = io.StringIO()
    console = Console(file=file, width=width, markup=False, emoji=False, highlight=False)
    printer = Printer(console)
    for line in lines:
        printer.line(line)
    printer.end(lines)
    return file.getvalue()


@pytest.mark.parametrize("width", [30, 40, 60, 80, 120, 200])
def test_it_fits_and_loses_nothing(width: int) -> None:
    text = printed(width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text and "\x1b" not in text
    assert LONG.replace(" ", "") * 3 in re.sub(r"\s", "", text)
    assert "1 fault (temperature), 1 warning (memory), 1 note, 1 ok" in " ".join(text.split())


def test_a_wide_terminal_has_columns() -> None:
    lines = printed(100).splitlines()
    assert lines[1].startswith("  ok       python ") and lines[2].startswith("  note     processor ")
    assert "\\x1b[31mred\\nlines" in printed(100)


def test_the_levels_are_words_and_colours() -> None:
    file = io.StringIO()
    console = Console(file=file, width=80, force_terminal=True, color_system="standard", highlight=False)
    Printer(console).line(LINES[3])
    assert "\x1b[1;31mfault" in file.getvalue()


@given(st.text(), st.text(), st.sampled_from(Level))
def test_any_text_is_one_line_of_the_report_at_any_width(found: str, do: str, level: Level) -> None:
    line = Line(CHECKS[0], Finding(level, found, do))
    text = printed(50, [line])
    assert text.startswith("\n  ") and level.value in text
    assert json.loads(as_json([line], NOW_S, ""))["findings"][0]["level"] == level


def test_the_json_has_what_its_page_says() -> None:
    content = json.loads(as_json(LINES, NOW_S, "Raspberry Pi 5"))
    assert {"schema": 1, "ok": False, "board": "Raspberry Pi 5"}.items() <= content.items()
    assert content["at"].endswith("+00:00") and content["counts"] == {"ok": 1, "note": 1, "warning": 1, "fault": 1}
    assert set(content["findings"][0]) == {"subject", "check", "level", "found", "do", "values"}
