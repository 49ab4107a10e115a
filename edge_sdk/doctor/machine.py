"""Where the facts about a machine come from: the kernel's files, other programs, its clock, and Python in a child.

All of it can be given, so that a test examines a board that it does not have by a folder of that board's files.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from edge_sdk.durable.clock import clock_is_synchronised
from edge_sdk.terminal.line import one_line

_MOST_BYTES = 1 << 18
_MOST_PATHS = 256


@dataclass(frozen=True, slots=True)
class Output:
    """What a program said.

    Attributes:
        code: its exit code; negative: the signal that ended it.
        out: its standard output.
        err: its standard error.
        timed_out: it was ended, since it took too long.
    """

    code: int
    out: str = ""
    err: str = ""
    timed_out: bool = False

    @property
    def crash(self) -> str:
        """The signal that ended it by itself, such as "SIGILL"; "" where it ended otherwise."""
        return "" if self.timed_out or self.code >= 0 else signal_name(-self.code)


@dataclass(frozen=True, slots=True)
class Told:
    """What a probe, run in a child process, has told.

    Attributes:
        values: all that it told, also where it ended badly.
        error: why it failed, for a person; "": it did not.
        kind: the exception's class, or the signal; "": it did not fail.
        seconds: that it took, the start of Python included.
    """

    values: Mapping[str, Any]
    error: str = ""
    kind: str = ""
    seconds: float = 0.0

    @property
    def crashed(self) -> bool:
        """Whether the child was killed by a fault in compiled code."""
        return self.kind in ("SIGILL", "SIGSEGV", "SIGBUS", "SIGABRT", "SIGFPE", "SIGTRAP", "SIGSYS")


@dataclass(frozen=True, slots=True)
class Mount:
    """A file system.

    Attributes:
        point: where it is mounted.
        kind: such as "ext4".
        source: such as "/dev/mmcblk0p2".
        device: "major:minor".
        read_only: nothing can be written to it.
    """

    point: str
    kind: str
    source: str
    device: str
    read_only: bool


class Machine:
    """The machine that is examined. Leaving the context ends the children that still run.

    Args:
        root: where the kernel's files stand (/proc, /sys, /dev, /etc, /run).
        programs: whether other programs may be asked; False: as if none were installed.
        architecture: as `uname -m` says.
        wall_s: seconds since 1970 by its clock.
        synchronised: whether the kernel's clock is held to another clock; None: it does not tell.
    """

    def __init__(
        self,
        root: Path = Path("/"),
        *,
        programs: bool = True,
        architecture: str = "",
        wall_s: Callable[[], float] = time.time,
        synchronised: Callable[[], bool | None] = clock_is_synchronised,
    ) -> None:
        self.root, self.wall_s, self.synchronised = root, wall_s, synchronised
        self.architecture = architecture or platform.machine()
        self._programs = programs
        self._running: set[subprocess.Popen[str]] = set()
        self._closed = False
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._closed = True
            running = list(self._running)
        for process in running:
            _kill(process)

    def text(self, path: str) -> str | None:
        """The text of a file of the kernel, without blanks and NULs around it; None where it cannot be read."""
        try:
            with (self.root / path).open("rb") as file:
                return file.read(_MOST_BYTES).decode("utf-8", "replace").strip(" \t\r\n\0")
        except OSError:
            return None

    def number(self, path: str, base: int = 10) -> int | None:
        """The whole number in a file; None where there is none."""
        try:
            return int((self.text(path) or "")[:24], base)
        except ValueError:
            return None

    def paths(self, pattern: str) -> list[str]:
        """Paths below the root that match, in order, without the root."""
        try:
            found = sorted(self.root.glob(pattern))[:_MOST_PATHS]
        except OSError:
            return []
        return [path.relative_to(self.root).as_posix() for path in found]

    def exists(self, path: str) -> bool:
        """Whether there is such a file or folder."""
        try:
            return (self.root / path).exists()
        except OSError:
            return False

    def real(self, path: str) -> str | None:
        """Where a link below the root leads, as a path below the root; None where it leads nowhere."""
        try:
            return (self.root / path).resolve(strict=True).relative_to(self.root.resolve()).as_posix()
        except (OSError, ValueError, RuntimeError):  # RuntimeError: links that lead in a circle
            return None

    @property
    def board(self) -> str:
        """What the machine calls itself, such as "Raspberry Pi 5 Model B Rev 1.0"; "" where it does not tell."""
        if model := self.text("proc/device-tree/model") or self.text("sys/firmware/devicetree/base/model"):
            return one_line(model, 80)
        names = [self.text(f"sys/class/dmi/id/{name}") for name in ("sys_vendor", "product_name")]
        return one_line(" ".join(name for name in names if name), 80)

    @property
    def is_raspberry_pi(self) -> bool:
        """Whether it is one."""
        return self.board.startswith("Raspberry Pi")

    def mount_of(self, folder: Path) -> Mount | None:
        """The file system that holds a folder; None where the kernel does not tell."""
        where = os.path.realpath(folder)
        best: Mount | None = None
        for line in (self.text("proc/self/mountinfo") or "").splitlines():
            mount = _mount(line)
            if mount is None or not (where == mount.point or where.startswith(mount.point.rstrip("/") + "/")):
                continue
            if best is None or len(mount.point) >= len(best.point):  # a later mount lies over an earlier one
                best = mount
        return best

    def run(self, program: str, *arguments: str, limit_s: float = 5.0) -> Output | None:
        """Run another program; None where it is not installed."""
        path = shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin") if self._programs else None
        return None if path is None else self._run([path, *arguments], "", limit_s)

    def ask(self, probe: str, given: Mapping[str, Any], *, limit_s: float) -> Told:
        """Call a function in a Python of its own, so that a crash or a hang of it is a result.

        Args:
            probe: "module:function" of this package, as `edge_sdk.doctor.child` calls it.
            given: its argument; JSON values.
            limit_s: seconds until it is killed.
        """
        begin_s = time.monotonic()
        # -P: files of the working folder, such as a card's, are no modules.
        command = [sys.executable, "-P", "-m", "edge_sdk.doctor.child", probe]
        output = self._run(command, json.dumps(dict(given)), limit_s)
        values: dict[str, Any] = {}
        for line in output.out.splitlines():
            with suppress(ValueError):
                values.update(json.loads(line))
        error, kind = values.pop("error", ""), values.pop("kind", "")
        if output.timed_out:
            error, kind = f"it did not end within {limit_s:g} s", "timeout"
        elif output.crash:
            why = ", most likely since memory ran out (`dmesg` says so)" if output.crash == "SIGKILL" else ""
            error, kind = f"the process was killed by {output.crash}{why}", output.crash
        elif output.code and not error:
            last = (output.err.strip() or "it said nothing").splitlines()[-1]
            error, kind = f"it ended with exit code {output.code}: {one_line(last, 200)}", "exit"
        return Told(values, error, kind, time.monotonic() - begin_s)

    def _run(self, command: list[str], given: str, limit_s: float) -> Output:
        with self._lock:
            if self._closed:
                return Output(-signal.SIGKILL, timed_out=True)
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                start_new_session=True,
            )
            self._running.add(process)
        try:
            out, err = process.communicate(given, timeout=limit_s)
            return Output(process.returncode, out, err)
        except subprocess.TimeoutExpired:
            _kill(process)
            out, err = process.communicate()
            return Output(process.returncode, out, err, timed_out=True)
        except BaseException:
            _kill(process)
            raise
        finally:
            with self._lock:
                self._running.discard(process)


def signal_name(number: int) -> str:
    """Such as "SIGSEGV"."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _kill(process: subprocess.Popen[str]) -> None:
    """End a process and what it has started."""
    with suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)


def _mount(line: str) -> Mount | None:
    """One line of /proc/self/mountinfo (proc(5))."""
    before, dash, after = line.partition(" - ")
    words, rest = before.split(), after.split()
    if not dash or len(words) < 6 or len(rest) < 2:
        return None
    options = {*words[5].split(","), *(rest[2].split(",") if len(rest) > 2 else ())}
    return Mount(_plain(words[4]), rest[0], _plain(rest[1]), words[2], "ro" in options)


def _plain(word: str) -> str:
    """A word of the kernel's tables: it writes blanks as octal escapes."""
    for code, letter in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        word = word.replace(code, letter)
    return word
