"""One form of error, and exit codes that a script can rely on."""

from __future__ import annotations

import errno
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable

import click
import pytest

import edge_sdk.terminal.command as command_module
from edge_sdk.errors import EdgeError
from edge_sdk.terminal.command import Stopped, need, run, when_stopped


def ended(body: Callable[[], object], *arguments: str) -> int:
    """Run a command `prog --number N` with this body."""

    @click.command()
    @click.option("--number", type=int)
    def command(number: int | None) -> None:
        body()

    return run(command, "prog", arguments)


def raises(error: BaseException) -> Callable[[], None]:
    def body() -> None:
        raise error

    return body


def test_a_command_that_is_done(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(lambda: click.echo("out")) == 0
    assert capsys.readouterr() == ("out\n", "")
    assert ended(lambda: None, "--help") == 0


def test_the_answer_may_be_no() -> None:
    assert ended(lambda: click.get_current_context().exit(1)) == 1
    assert ended(raises(SystemExit(1))) == 1
    assert ended(raises(SystemExit())) == 0


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (EdgeError("expected a; got\nb"), r"expected a; got\nb"),
        (click.ClickException("no\nluck"), "no luck"),
        (click.UsageError("expected --a"), "expected --a"),
        (OSError(errno.ENOSPC, "No space left on device", "/a[/b]"), "/a[/b]: No space left on device"),
        (OSError("no number"), "no number"),
        (SystemExit("in words"), "in words"),
        (ModuleNotFoundError("", name="matplotlib.figure"), "pip install '.[plots]' in the checkout"),
        (
            ModuleNotFoundError("", name="scipy"),
            "the package scipy, which this Python lacks: install the extra workbench",
        ),
    ],
)
def test_errors_are_one_line_with_the_program_before_it(
    error: BaseException, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(raises(error)) == 2
    out, said = capsys.readouterr()
    assert out == ""
    assert said.startswith("prog: ") and said.count("\n") == 1
    assert line in said


def test_usage_errors_name_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(lambda: None, "--number", "x") == 2
    assert capsys.readouterr().err == (
        "prog: Invalid value for '--number': 'x' is not a valid integer (see prog --help)\n"
    )
    assert ended(lambda: None, "--nummer") == 2
    assert "No such option" in capsys.readouterr().err


def test_a_long_message_is_cut_in_the_middle(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(raises(EdgeError(f"first {'x, ' * 5000} last"))) == 2
    said = capsys.readouterr().err
    assert len(said) < 1100 and said.startswith("prog: first") and said.endswith("last\n")


@pytest.mark.parametrize("error", [ZeroDivisionError("a bug"), ModuleNotFoundError("", name="edge_sdk.nothing")])
def test_a_fault_keeps_its_traceback(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(raises(error)) == 2
    said = capsys.readouterr().err
    assert "Traceback" in said and said.splitlines()[-1].startswith("prog: this is a fault of the program")


def test_a_missing_package_is_named_before_the_work() -> None:
    need("json", "click")
    with pytest.raises(ModuleNotFoundError) as told:
        need("json", "no_such_package")
    assert told.value.name == "no_such_package"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_with_what_was_done(number: int, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    done = 0

    def body() -> None:
        nonlocal done
        with when_stopped(lambda: f"{done} of 3 done"):
            done = 2
            signal.raise_signal(number)

    before = [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)]
    assert ended(body) == code
    assert capsys.readouterr().err == "prog: stopped: 2 of 3 done\n"
    assert [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_signal_that_comes_out_as_another_error(capsys: pytest.CaptureFixture[str]) -> None:
    def body() -> None:
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            raise ImportError("a module was half loaded") from None

    assert ended(body) == 130
    assert capsys.readouterr().err == "prog: stopped\n"
    assert ended(raises(KeyboardInterrupt())) == 130
    assert Stopped(signal.SIGTERM).signal == signal.SIGTERM


def test_warnings_of_the_log_are_lines_of_the_program(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    assert ended(lambda: logging.getLogger("edge_sdk.x").warning("left out: %s", "bro[bold]\x1bken.jpg")) == 0
    assert capsys.readouterr().err == "prog: left out: bro[bold]\\x1bken.jpg\n"
    assert logging.getLogger().handlers == []


PROGRAM = """
import click
from edge_sdk.terminal.command import run_and_exit

@click.command()
def command():
    for _ in range(100_000):
        click.echo("a line of text")

run_and_exit(command, "prog")
"""


def test_a_reader_that_goes_away_ends_the_program_in_silence() -> None:
    with subprocess.Popen(
        [sys.executable, "-P", "-c", PROGRAM], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline() == "a line of text\n"
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait() == 141


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_a_full_disk_under_the_output_is_an_error() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-P", "-c", PROGRAM], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2
    assert done.stderr == "prog: No space left on device\n"


def test_the_shell_can_complete(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("_PROG_COMPLETE", "bash_source")
    assert ended(lambda: None) == 0
    assert "complete" in capsys.readouterr().out


def test_a_part_that_the_devices_wheel_leaves_out_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    absent = ModuleNotFoundError("No module named 'edge_sdk.workbench'", name="edge_sdk.workbench")
    assert ended(raises(absent)) == 2
    assert "a fault of the program" in capsys.readouterr().err  # it is there in this checkout
    monkeypatch.setattr(command_module, "find_spec", lambda name: None)
    for name in ("edge_sdk.workbench", "edge_sdk.workbench.train", "cloud_server.local_big"):
        assert ended(raises(ModuleNotFoundError("", name=name))) == 2
        message = capsys.readouterr().err
        assert name.startswith(message.split()[3].rstrip(","))
        assert message.startswith("prog: this needs ") and "install the whole distribution" in message
