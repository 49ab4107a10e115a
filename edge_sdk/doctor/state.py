"""The state folder: it can be written, how long a write takes, who holds it, and whether its table is sound."""

from __future__ import annotations

import errno
import os
import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from edge_sdk.doctor.child import Tell
from edge_sdk.doctor.disk import nearest, state_folder
from edge_sdk.doctor.finding import Case, Check, Finding, fault, note, ok, together, unended, warning
from edge_sdk.doctor.machine import Machine

_SUBJECT = "state"
_PAGE = bytes(4096)
_WRITES = 3
_SLOW_MS = 500.0
_LIMIT_S, _CHECK_S = 65.0, 15.0
_OLD_DAYS = 7.0
_RECENT_DAYS, _DAY_NS = 7, 86_400 * 10**9


def _folder(case: Case) -> Finding:
    folder = state_folder(case.asked)
    there = os.path.isdir(folder)
    if os.path.lexists(folder) and not there:
        return fault(f"{folder} is not a folder", "name another with --state, or move what is there")
    holder = holder_of(case.machine, folder)
    values: dict[str, Any] = {"folder": str(folder), "exists": there, "held_by": holder}
    try:
        ms = _write_ms(nearest(folder))
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        cures = {
            errno.EROFS: "its disk is read-only: `dmesg` says why; `sudo mount -o remount,rw` or another disk",
            errno.EACCES: f"sudo chown -R $USER {folder}, or run as the user who owns it"
            if there
            else f"run this as the user of the service, or sudo install -d -o $USER {folder}, or name another folder",
        }
        cure = "delete what is not needed" if full else cures.get(error.errno or 0, "check the folder and its disk")
        return fault(f"{nearest(folder)} cannot be written: {error.strerror}", cure, **values)
    values["write_ms"] = round(ms, 2)
    said = f"{folder}, {'' if there else 'which is not there yet, and can be made; '}a durable write takes {ms:.2g} ms"
    wrong = []
    if holder:
        said += f"; {holder} works with it"
    if ms > _SLOW_MS:
        wrong.append(
            warning(
                "a slow card", "each frame that waits takes such a write: use a card of class A1 or A2, or durable='1s'"
            )
        )
    return together(said, *wrong, **values)


def _write_ms(folder: Path) -> float:
    """Milliseconds, the middle of some, until 4 KiB are on the disk; nothing stays."""
    path, taken_ms = folder / f".edge-sdk-doctor-{os.getpid()}", list[float]()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        for _ in range(_WRITES):
            begin_s = time.monotonic()
            os.write(descriptor, _PAGE)
            os.fsync(descriptor)
            taken_ms.append(1e3 * (time.monotonic() - begin_s))
    finally:
        os.close(descriptor)
        with suppress(OSError):
            path.unlink()
    return sorted(taken_ms)[_WRITES // 2]


def holder_of(machine: Machine, folder: Path) -> str:
    """The process that works with a state folder, by the kernel's list of locks, which are not touched; "": none."""
    try:
        inode = (folder / "lock").stat().st_ino
    except OSError:
        return ""
    for line in (machine.text("proc/locks") or "").splitlines():
        words = line.split()
        if len(words) >= 6 and words[1] == "FLOCK" and words[5].rpartition(":")[2] == str(inode):
            return f"process {words[4]}"
    return ""


def read_store(given: dict[str, Any], tell: Tell) -> None:
    """Probe: is the table sound, and what waits in it. Nothing is written."""
    from edge_sdk.store.recovery import DAMAGED
    from edge_sdk.store.schema import OPEN, VERSION, State
    from edge_sdk.store.table import FILE

    folder = Path(given["folder"])
    path = folder / FILE
    went = tuple(one.value for one in (State.WAITING, State.SENT, State.ANSWERED))
    damaged = [one.name for one in folder.glob("*.damaged*")] + [one.name for one in (folder / DAMAGED).glob("*")]
    tell(damaged=sorted(damaged)[:20], damaged_files=len(damaged), table=path.is_file(), newest_version=VERSION)
    if not path.is_file():
        return
    log = path.with_name(f"{FILE}-wal")
    mode = "mode=ro" if log.exists() else "mode=ro&immutable=1"  # else a file would be made
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True, timeout=5.0)) as connection:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        tell(version=version, bytes=path.stat().st_size)
        until_s = time.monotonic() + _CHECK_S
        connection.set_progress_handler(lambda: int(time.monotonic() > until_s), 100_000)
        try:
            tell(sound=connection.execute("PRAGMA quick_check(1)").fetchone()[0])
        except sqlite3.OperationalError as error:
            if "interrupted" not in str(error):
                raise
            tell(sound="")
        connection.set_progress_handler(None, 0)
        if version != VERSION:  # other columns
            return
        frames, waiting, oldest_ns, latest_ns = connection.execute(
            f"SELECT count(*), sum({OPEN}), min(iif({OPEN}, handled_ns, NULL)), max(handled_ns) FROM frames"
        ).fetchone()
        (marked_ns,) = connection.execute("SELECT max(elapsed_ns) FROM clock").fetchone()
        now_ns = max(latest_ns or 0, marked_ns or 0)  # of the store's clock, when it was last heard of
        tell(frames=frames, waiting=waiting or 0)
        tell(oldest_waiting_days=0.0 if oldest_ns is None else round((now_ns - oldest_ns) / _DAY_NS, 2))
        offloaded, first_ns = connection.execute(
            f"SELECT count(*), min(handled_ns) FROM frames WHERE handled_ns > ? AND state IN {went}",
            [now_ns - _RECENT_DAYS * _DAY_NS],
        ).fetchone()
        if offloaded:
            tell(offloaded_per_day=round(offloaded / max(1.0, (now_ns - first_ns) / _DAY_NS), 1))


def _store(case: Case) -> Finding | None:
    folder = state_folder(case.asked)
    if not os.path.isdir(folder):
        return None
    told = case.machine.ask("edge_sdk.doctor.state:read_store", {"folder": str(folder)}, limit_s=_LIMIT_S - 5)
    values = {name: value for name, value in told.values.items() if name != "damaged"}
    again = "at its next start the device sets a damaged table aside and rebuilds it from the pictures"
    if told.kind == "timeout":
        return unended("reading the table", _LIMIT_S - 5)
    if told.error:
        return fault(f"the table cannot be read: {told.error}", f"{again}; look at the disk first", **values)
    if not values["table"]:
        return note(f"{folder} holds no frames yet", **values)
    if values["version"] > values["newest_version"]:
        return fault(
            f"the table is of a newer edge_sdk (schema {values['version']}, this one knows {values['newest_version']})",
            "install the newer edge_sdk again, or name another folder",
            **values,
        )
    said = (
        f"{values['frames']:,} frames, {values['waiting']:,} of them wait for the cloud" if "frames" in values else ""
    )
    said = said or f"a table of an older version (schema {values['version']}), which the next start brings up to date"
    wrong = []
    if values["sound"] not in ("ok", ""):
        wrong.append(fault(f"the table is damaged ({values['sound'][:100]})", f"{again}; look at the disk first"))
    if values["damaged_files"]:
        names = ", ".join(told.values["damaged"][:3])
        wrong.append(
            warning(
                f"{values['damaged_files']} damaged files were set aside ({names})",
                "power cuts or a worn card: look at `power` and `disk`; delete them when you have looked",
            )
        )
    if values.get("oldest_waiting_days", 0.0) > _OLD_DAYS:
        wrong.append(
            warning(
                f"the oldest waits for {values['oldest_waiting_days']:.0f} days",
                "is the link up, and is the upload budget enough? see `server` and `upload-budget`",
            )
        )
    return together(said, *wrong, **values) if wrong else ok(said, **values)


CHECKS = (Check("folder", _SUBJECT, _folder, limit_s=20.0), Check("store", _SUBJECT, _store, limit_s=_LIMIT_S))
