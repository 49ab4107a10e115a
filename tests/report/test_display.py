"""What a person sees: plain lines on a pipe, a panel on a terminal."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from edge_sdk import EdgeClassifier, Event, Frame, LinkState
from edge_sdk.budget.limits import Budget, Resource
from edge_sdk.budget.usage import BudgetState, Usage
from edge_sdk.report.display import _LINK_STYLE, LoopDisplay, compute_text, upload_text
from edge_sdk.terminal.text import open_console


def test_the_account_for_people() -> None:
    free = Usage(frames=10, bytes_sent=1500, macs_little=50, macs_big=150, big_macs=100)
    assert upload_text(free) == "1.5 kB, no limit"
    assert compute_text(free) == "200 MAC, 20% of every frame to the big model"
    tight = Usage(budgets=(BudgetState(Budget(5_000_000, 86_400), 1500),))
    assert upload_text(tight) == "1.5 kB of 5.0 MB/day"
    assert (
        compute_text(Usage(budgets=(BudgetState(Budget(2_000, 1, Resource.COMPUTE), 0),))) == "0 MAC; 0 MAC of 2 kMAC/s"
    )


@pytest.mark.parametrize("terminal", [True, False])
def test_both_ways_of_showing(tmp_path: Path, terminal: bool) -> None:
    text = io.StringIO()
    console = Console(file=text, force_terminal=terminal, width=140, highlight=False, soft_wrap=True)
    frame = Frame(np.zeros((48, 64, 3), np.uint8))
    with (
        EdgeClassifier(state_dir=tmp_path, threshold=1.01, budget="5MB/day") as edge,
        LoopDisplay(edge, "a title", console) as display,
    ):
        first = edge.classify(frame)
        display.show(frame, first)
        display.late(first)
    shown = text.getvalue()
    assert first.label is not None
    for part in (first.label, "unsure", "of 5.0 MB/day", "off", f"{frame.captured_at:%H:%M:%S}"):
        assert part in shown
    assert ("a title" in shown) == terminal
    if not terminal:
        assert "\x1b" not in shown
        assert len(shown.splitlines()) == 2


def test_every_state_of_the_link_has_a_colour() -> None:
    assert set(_LINK_STYLE) == set(LinkState)


@pytest.mark.parametrize("width", [40, 60, 140])
def test_the_panel_fits_and_shows_names_as_they_are(tmp_path: Path, width: int) -> None:
    text = io.StringIO()
    console = open_console()
    console.file, console.width, console._force_terminal = text, width, True  # as on a terminal
    frame = Frame(np.zeros((48, 64, 3), np.uint8))
    with (
        EdgeClassifier(state_dir=tmp_path, threshold=1.01, budget="5MB/day") as edge,
        LoopDisplay(edge, "ca[/red]m\x07", console) as display,
    ):
        first = edge.classify(frame)
        display.show(frame, first)
        display.late(first)
    lines = Text.from_ansi(text.getvalue()).plain.splitlines()
    assert max(cell_len(line) for line in lines) <= width
    shown = "".join(lines)
    assert r"ca[/red]m\x07" in shown and "\x07" not in text.getvalue()
    assert "of 5.0 MB/day" in " ".join(shown.replace("│", " ").split())


def test_a_plain_line_of_an_event_has_its_id(tmp_path: Path) -> None:
    text, now = io.StringIO(), datetime(2026, 6, 3, tzinfo=UTC)
    console = Console(file=text, force_terminal=False, width=200, soft_wrap=True)
    with EdgeClassifier(state_dir=tmp_path) as edge, LoopDisplay(edge, "a title", console) as display:
        display.event(Event("e" * 32, "a camera", now, now, 1, "fox", 0.9, "f" * 32))
    assert text.getvalue() == "event  2026-06-03 00:00:00  fox 0.90 (device, confident), 1 frame  " + "e" * 32 + "\n"
