"""Text is printed as it is, and cannot steer the terminal."""

from __future__ import annotations

import io
import subprocess
import sys

import pytest
from rich.console import Console

from edge_sdk.terminal.text import literal, open_console, say


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("cam [/red] 1 :deer: $x$", "cam [/red] 1 :deer: $x$"),
        ("Füchse 狐", "Füchse 狐"),
        ("\x1b[31mred\x07", r"\x1b[31mred\x07"),
        ("two\nlines\r", r"two\nlines\r"),
        ("raw\udcff", r"raw\udcff"),
        ("\u202egpj.exe", r"\u202egpj.exe"),
    ],
)
def test_what_does_not_print_is_shown_as_its_escape(text: str, shown: str) -> None:
    assert literal(text) == shown


def test_a_line_is_not_broken_and_has_no_markup() -> None:
    console = open_console()
    console.file = io.StringIO()
    console.width = 20
    say(console, "a [b]path[/b] that is longer than the console is wide :deer:")
    assert console.file.getvalue() == "a [b]path[/b] that is longer than the console is wide :deer:\n"


def test_no_colours_but_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FORCE_COLOR", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    assert open_console(stderr=True).stderr
    assert isinstance(open_console(), Console)
    assert not open_console().is_terminal


def test_a_reader_that_goes_away_is_no_answer_of_the_command() -> None:
    """`edge-sdk doctor | head -1` ends as other commands do there, and not with the exit code of a fault."""
    program = (
        "import click\n"
        "from edge_sdk.terminal.command import run_and_exit\n"
        "from edge_sdk.terminal.text import open_console\n"
        "@click.command()\n"
        "def talk():\n"
        "    while True:\n"
        "        open_console().print('a line')\n"
        "run_and_exit(talk, 'talk')\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None and process.stderr is not None
    with process.stdout, process.stderr:
        assert process.stdout.readline() == b"a line\n"
        process.stdout.close()
        assert process.wait() == 141 and process.stderr.read() == b""
