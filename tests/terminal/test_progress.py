"""Progress of long work."""

from __future__ import annotations

import io
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from edge_sdk.terminal import progress
from edge_sdk.terminal.progress import Pace, loading, progress_bars, shown_by


def test_a_line_says_what_is_done_and_how_long_it_still_takes() -> None:
    now = 0.0
    console = Console(file=io.StringIO(), width=80)
    with progress_bars(console) as bars:
        bars.get_time = lambda: now
        bars._began = 0.0  # type: ignore[attr-defined]
        lines = []

        def look() -> None:
            lines.append(bars.line())  # type: ignore[attr-defined]

        now = 4.0
        look()
        steps, pictures = bars.add_task("steps", total=600), bars.add_task("pictures", total=None)
        bars.update(steps, completed=300)  # a resumed run: these took no time
        look()
        now += 10
        bars.update(steps, completed=350)
        look()
        now += 10
        look()
        bars.update(pictures, completed=0)
        now += 5
        look()
        bars.update(pictures, completed=5)
        look()
        bars.update(steps, completed=600)
        look()
    assert lines == [
        "starting: 0:00:04 so far",
        "steps: 300 of 600, 0:00:00 so far",
        "steps: 350 of 600, 0:00:50 left",
        "steps: 350 of 600, 0:00:40 left",
        "pictures: 0:00:05 so far",
        "pictures: 5, 0:00:05 so far",
        "steps: 600 of 600, 0:00:25 so far",
    ]


def test_a_log_gets_lines_though_the_work_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "FIRST_LINE_S", 0.001)
    monkeypatch.setattr(progress, "LINE_EVERY_S", 0.001)
    written = threading.Event()

    class Log(io.StringIO):
        def write(self, text: str) -> int:
            if self.getvalue().count("so far") >= 2:
                written.set()
            return super().write(text)

    with progress_bars(Console(file=Log(), width=80)) as bars:
        bars.update(bars.add_task("lowering"))
        assert written.wait(60)


def test_a_log_that_is_closed_does_not_end_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "FIRST_LINE_S", 0.001)
    tried = threading.Event()

    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            tried.set()
            raise OSError("nobody reads")

    with progress_bars(Console(file=Closed(), width=80)) as bars:
        show = shown_by(bars)
        assert tried.wait(60)
        show("work", 1, 2)
    assert not any(thread.name == "progress" for thread in threading.enumerate())


def test_bars_on_a_terminal_show_names_as_they_are() -> None:
    console = Console(file=io.StringIO(), width=100, force_terminal=True)
    with progress_bars(console) as bars:
        show = shown_by(bars)
        show("reading [/red]", 1, 3)
        show("reading [/red]", 3, 3)
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert "reading [/red]" in text and "3/3" in text


@given(st.floats(0.01, 100), st.floats(0, 1e4), st.integers(2, 300), st.integers(0, 50))
def test_the_estimate_of_steady_work_is_right(seconds: float, began: float, steps: int, more: int) -> None:
    pace = Pace(began)
    for step in range(steps):
        pace.tell(began + step * seconds, step)
    now = began + (steps - 1) * seconds
    left = pace.left_s(now, steps - 1 + more)
    assert left == pytest.approx(more * seconds, rel=1e-6, abs=1e-6)


def test_the_estimate_follows_the_last_two_minutes_and_a_new_round() -> None:
    pace = Pace(0.0)
    for step in range(100):
        pace.tell(step, step)
    for step in range(1, 301):
        pace.tell(99 + step * 10, 99 + step)  # ten times slower from here on
    assert pace.left_s(3099.0, 409) == pytest.approx(100)
    pace.tell(4000.0, 0)
    assert pace.left_s(4000.0, 10) is None
    pace.tell(4001.0, 1)
    assert pace.left_s(4001.0, 10) == pytest.approx(9)


def test_loading_says_so_in_a_log_and_spins_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "FIRST_LINE_S", 0.001)
    written = threading.Event()

    class Log(io.StringIO):
        def write(self, text: str) -> int:
            written.set()
            return super().write(text)

    log = Log()
    with loading(Console(file=log, width=80)):
        assert written.wait(60)
    assert log.getvalue().startswith("starting: 0:00:00 so far")
    shown = io.StringIO()
    with loading(Console(file=shown, width=80, force_terminal=True)):
        pass
    assert "loading" in shown.getvalue()
