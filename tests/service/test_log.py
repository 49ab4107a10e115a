"""Lines of a log that is written for months."""

from __future__ import annotations

import io
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_sdk.service.log import SERVICE, Repeats, open_log, set_level
from edge_sdk.testing import FakeClock


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    root, own = logging.getLogger(), logging.getLogger("edge_sdk")
    handlers, levels = root.handlers[:], (root.level, own.level)
    yield
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    own.setLevel(levels[1])


def record(text: str, *args: object, name: str = "edge_sdk.camera", level: int = logging.WARNING) -> logging.LogRecord:
    return logging.LogRecord(name, level, "", 1, text, args, None)


def test_what_lasts_is_told_once_in_a_while_with_its_number() -> None:
    clock = FakeClock()
    repeats = Repeats(600.0, clock=clock.steady_s)
    written = []
    for _ in range(100):
        one = record("no answer within %d s", clock.steady_s())  # numbers differ
        if repeats.filter(one):
            written.append(one.getMessage().partition(" (")[2])
        clock.pass_s(30)
    assert written == ["", *["and 19 more times before)"] * 4]


def test_other_lines_levels_and_events_pass() -> None:
    repeats = Repeats(600.0)
    assert all(repeats.filter(record(text)) for text in ("one", "two", "three"))
    assert repeats.filter(record("one", level=logging.ERROR))
    assert all(repeats.filter(record("fox 0.93", name=f"{SERVICE}.tender", level=logging.INFO)) for _ in range(3))
    assert not repeats.filter(record("one"))
    assert all(Repeats(0.0).filter(record("one")) for _ in range(3))


def test_few_texts_are_remembered() -> None:
    repeats = Repeats(600.0)
    words = [f"{'x' * number}" for number in range(1000)]
    assert all(repeats.filter(record(word)) for word in words)
    assert len(repeats._told) < 300
    assert not repeats.filter(record(words[-1]))


def test_a_line_is_one_line_whatever_its_text() -> None:
    stream = io.StringIO()
    open_log("info", 0.0, stream=stream, environment={})
    logging.getLogger("edge_sdk.x").info("a\nb \x1b[31m %s", "c\n")
    logging.getLogger("edge_sdk.x").debug("not shown")
    logging.getLogger("paho").info("not shown")
    set_level("debug")
    logging.getLogger("edge_sdk.x").debug("shown")
    first, second, end = stream.getvalue().split("\n")
    assert first.endswith(r"INFO a\nb \x1b[31m c\n") and second.endswith("DEBUG shown") and end == ""


def test_the_journal_gets_levels_and_no_times(tmp_path: Path) -> None:
    with (tmp_path / "journal").open("w") as stream:
        found = os.fstat(stream.fileno())
        open_log("info", 0.0, stream=stream, environment={"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"})
        logging.getLogger("edge_sdk.x").warning("away")
        try:
            raise ValueError("x")
        except ValueError:
            logging.getLogger("edge_sdk.x").exception("failed")
    lines = (tmp_path / "journal").read_text().splitlines()
    assert lines[:3] == ["<4>away", "<3>failed", "<3>Traceback (most recent call last):"]
    assert all(line.startswith("<") for line in lines)
