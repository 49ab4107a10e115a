"""A real PostgreSQL for tests: its own folder, a free port, started, killed and started again as a test likes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from ipaddress import ip_interface
from pathlib import Path
from uuid import uuid4

import pytest
from free_ports import free_port

_FOLDERS = [*sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)]
_OPTIONS = {"fsync": "off", "full_page_writes": "off", "max_connections": "60", "shared_buffers": "16MB"}


def _tool(name: str) -> Path:
    found = next((str(one / name) for one in _FOLDERS if (one / name).is_file()), None) or shutil.which(name)
    if found is None:
        pytest.skip(f"PostgreSQL's {name} is not installed (Debian: apt install postgresql)")
    return Path(found)


def _user() -> list[str]:
    """PostgreSQL does not run as root."""
    return ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []


class Postgres:
    """One server process.

    Attributes:
        port: it listens there on 127.0.0.1, without passwords.

    Args:
        folder: of its own.
        network: in CIDR form, the address of this machine in it: it listens there too; "": nowhere else.
    """

    def __init__(self, folder: Path, network: str = "") -> None:
        self._folder, self._network = folder, network
        self.port = free_port()
        folder.mkdir(mode=0o700)
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres", "postgres")
        made = [
            str(_tool("initdb")),
            "-D",
            str(folder),
            "-U",
            "edge",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C",
            "--no-sync",
        ]
        subprocess.run([*_user(), *made], check=True, capture_output=True, cwd="/")
        if network:
            with (folder / "pg_hba.conf").open("a") as rules:
                rules.write(f"host all all {ip_interface(network).network} trust\n")
        self.start()

    def start(self) -> None:
        """Start it, and return once it answers."""
        options = " ".join(f"-c {name}={value}" for name, value in _OPTIONS.items())
        addresses = ",".join(["127.0.0.1", *filter(None, [self._network.partition("/")[0]])])
        where = f"-p {self.port} -c listen_addresses={addresses} -c unix_socket_directories={self._folder} {options}"
        self._pg_ctl("start", "-w", "-t", "60", "-l", self._folder / "log", "-o", where)

    def kill(self) -> None:
        """End it as a power cut would."""
        pid = int((self._folder / "postmaster.pid").read_text().split()[0])
        os.kill(pid, signal.SIGQUIT)
        with suppress(ProcessLookupError):
            while True:
                os.kill(pid, 0)

    def hold(self) -> None:
        """Stop all its processes where they are: it takes connections and questions, and answers none."""
        self._signal_all(signal.SIGSTOP)

    def release(self) -> None:
        """Let them go on."""
        self._signal_all(signal.SIGCONT)

    def _signal_all(self, number: signal.Signals) -> None:
        pid = int((self._folder / "postmaster.pid").read_text().split()[0])
        os.kill(pid, number)  # the one that starts the others comes first
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for child in map(int, children):
            with suppress(ProcessLookupError):
                os.kill(child, number)

    def stop(self) -> None:
        """End it, if it runs."""
        with suppress(subprocess.CalledProcessError):
            self._pg_ctl("stop", "-m", "immediate", "-w")

    def new_database(self, name: str = "", encoding: str = "UTF8") -> str:
        """The URL of an empty database."""
        name = name or f"fleet_{uuid4().hex[:12]}"
        command = [str(_tool("createdb")), "-h", "127.0.0.1", "-p", str(self.port), "-U", "edge", name]
        command += ["-T", "template0", "-E", encoding]
        subprocess.run(command, check=True, capture_output=True, cwd="/")
        return self.url(name)

    def url(self, name: str) -> str:
        """The URL of a database."""
        return f"postgresql://edge@127.0.0.1:{self.port}/{name}"

    def may_write(self, name: str, can: bool) -> None:
        """Let transactions of a database write or not, also those of connections that are open, as a standby does."""
        said = f"ALTER SYSTEM SET default_transaction_read_only = {'off' if can else 'on'}"
        for sql in (said, "SELECT pg_reload_conf()"):
            command = [str(_tool("psql")), "-q", "-h", "127.0.0.1", "-p", str(self.port), "-U", "edge", "-c", sql, name]
            subprocess.run(command, check=True, capture_output=True, cwd="/")

    def _pg_ctl(self, *arguments: object) -> None:
        command = [*_user(), str(_tool("pg_ctl")), "-D", str(self._folder), *map(str, arguments)]
        # A server that inherits a pipe would hold it open.
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/")


@contextmanager
def postgres(parent: Path, network: str = "") -> Iterator[Postgres]:
    """A server while the block lasts.

    Args:
        parent: a folder that every user may enter; those of pytest are the user's own, so root takes another.
        network: as of `Postgres`.
    """
    folder = parent / "postgres" if os.geteuid() else Path("/tmp") / f"postgres-{uuid4().hex[:12]}"
    server = Postgres(folder, network)
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
