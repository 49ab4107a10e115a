"""Progress of long work."""

from __future__ import annotations

import io

from rich.console import Console

from edge_sdk.terminal.progress import progress_bars, shown_by


def test_a_log_gets_a_line_of_progress_after_five_seconds_and_every_half_minute() -> None:
    now = 0.0
    console = Console(file=io.StringIO(), width=80)
    with progress_bars(console) as bars:
        bars.get_time = lambda: now
        steps, pictures = bars.add_task("steps", total=600), bars.add_task("pictures", total=None)
        for done in range(0, 600, 50):
            bars.update(steps, completed=done)
            now += 10
        now += 30
        bars.update(pictures, completed=5)
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue().splitlines() == [
        "steps: 100 of 600, 0:01:40 left",
        "steps: 250 of 600, 0:01:10 left",
        "steps: 400 of 600, 0:00:40 left",
        "steps: 550 of 600, 0:00:10 left",
        "pictures: 5",
    ]


def test_bars_on_a_terminal_show_names_as_they_are() -> None:
    console = Console(file=io.StringIO(), width=100, force_terminal=True)
    with progress_bars(console) as bars:
        show = shown_by(bars)
        show("reading [/red]", 1, 3)
        show("reading [/red]", 3, 3)
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert "reading [/red]" in text and "3/3" in text
