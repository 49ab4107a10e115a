"""Writing a service's files where systemd looks for them, and asking systemd what it thinks of them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from edge_sdk.durable.files import write_whole
from edge_sdk.errors import ConfigError
from edge_sdk.systemd.places import by_itself, mounts, not_there_at_boot
from edge_sdk.systemd.unit import Unit, mark, volatile_journal
from edge_sdk.terminal.command import warn

_LONGEST_S = 60


def files_of(unit: Unit, *, release: int = 0, journal_in_memory: bool = False) -> dict[Path, str]:
    """The files that make a service, by their paths.

    Args:
        unit: the service.
        release: of systemd.
        journal_in_memory: the system's log is kept in memory.
    """
    files = {
        Path(f"/etc/systemd/system/{unit.name}.service"): unit.text(release=release),
        Path(f"/etc/sysusers.d/{unit.name}.conf"): f"{mark(unit.name)}.\n{unit.users()}",
    }
    if journal_in_memory:
        files[Path("/etc/systemd/journald.conf.d/edge-sdk.conf")] = volatile_journal()
    return files


def install(files: Mapping[Path, str], *, root: Path = Path("/")) -> None:
    """Write the files; those of an earlier call are replaced, those of others are not.

    Args:
        files: by path.
        root: of the system.

    Raises:
        ConfigError: somebody else wrote one of them, or this is not root.
    """
    there = {root / path.relative_to("/"): text for path, text in files.items()}
    for path in there:
        if path.is_symlink() or (path.exists() and not path.read_text(errors="replace").startswith("# Written by `")):
            raise ConfigError(f"expected no {path}, or one that install-service wrote; move it away first")
    try:
        for path, text in there.items():
            write_whole(path, text, durable=True, mode=0o644)
    except PermissionError as error:
        raise ConfigError(
            f"cannot write {error.filename or '/etc'}: run it as root (sudo), or look at the files with --print"
        ) from error


def announce(unit: Unit) -> None:
    """Let a running systemd make the user and read the unit; does nothing where there is none."""
    if not Path("/run/systemd/system").is_dir():
        return
    for command in (["systemd-sysusers", f"{unit.name}.conf"], ["systemctl", "daemon-reload"]):
        if shutil.which(command[0]):
            subprocess.run(command, check=False, timeout=_LONGEST_S)


def systemd_release() -> int:
    """The release of this machine's systemd; 0 where there is none."""
    said = _run(["systemd-analyze", "--version"])
    match = re.match(r"systemd (\d+)", said)
    return int(match[1]) if match else 0


def complaints(unit: Unit) -> list[str]:
    """What `systemd-analyze verify` says of the unit, a line each; empty where there is no systemd."""
    with tempfile.TemporaryDirectory(prefix="edge-sdk-") as folder:
        path = Path(folder) / f"{unit.name}.service"
        path.write_text(unit.text(release=systemd_release()))
        said = _run(["systemd-analyze", "verify", "--man=no", str(path)])
    lines = (line.replace(f"{folder}/", "") for line in said.splitlines())
    return [line for line in lines if unit.name in line]


def out_of_reach(path: Path) -> Path | None:
    """The first folder on the way to a file that only its owner may enter; None: everybody reaches the file."""
    for folder in (*reversed(path.parents), *reversed(Path(os.path.realpath(path)).parents)):
        try:
            if not folder.stat().st_mode & 0o001:
                return folder
        except OSError:
            return folder
    return None


@dataclass(frozen=True, slots=True)
class Named:
    """A file or folder of a service.

    Attributes:
        what: says who names it, such as "--config".
        path: absolute.
    """

    what: str
    path: Path


def put(
    unit: Unit,
    program: str,
    *,
    only_print: bool,
    packages: Sequence[Path],
    named: Sequence[Named] = (),
    journal_in_memory: bool = False,
) -> None:
    """Print or write the files of a service, and say what systemd finds in them and what the service will not find.

    Args:
        unit: the service.
        program: that says so.
        only_print: nothing is written.
        packages: of the interpreter.
        named: files and folders that its options name.
        journal_in_memory: the system's log is kept in memory.

    Raises:
        ConfigError: they cannot be written, or the service would not find its interpreter and packages at a start.
    """
    files = files_of(unit, release=systemd_release(), journal_in_memory=journal_in_memory)
    program_files = [Named("the interpreter", Path(unit.command[0])), *(Named("its packages", one) for one in packages)]
    if only_print:
        for path, text in files.items():
            click.echo(f"# {path}\n{text}")
    else:
        if lost := next(_lost(program_files), ""):
            raise ConfigError(f"{lost}; install into a folder that stays, such as /opt/{unit.name}")
        install(files)
        announce(unit)
        for path in files:
            click.echo(f"wrote {path}")
    for line in complaints(unit):
        warn(program, line)
    for line in _lost([*program_files, *named] if only_print else named):
        warn(program, line)
    if (folder := out_of_reach(Path(unit.command[0]))) is not None:
        warn(
            program,
            f"the user {unit.user} cannot enter {folder}, and so not reach {unit.command[0]}: install into a folder "
            "that others may enter, such as /opt/edge-sdk",
        )
    for one in (*program_files[1:], *named):
        if os.path.lexists(one.path) and (closed := out_of_reach(one.path)) not in (None, folder):
            warn(program, f"the user {unit.user} cannot enter {closed}, and so not reach {one.path} ({one.what})")


def _lost(named: Iterable[Named]) -> Iterator[str]:
    """What the service will not find once the machine has started again, in words."""
    mounted, kept = mounts(), by_itself()
    for one in named:
        if why := not_there_at_boot(one.path, mounted=mounted, kept=kept):
            yield f"the service will not find {one.path} ({one.what}): {why}"


def _run(command: list[str]) -> str:
    """What a program writes, to both outputs; "" where it is not there."""
    if shutil.which(command[0]) is None:
        return ""
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_LONGEST_S,
            check=False,
            env={**os.environ, "LC_ALL": "C"},
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout + done.stderr
