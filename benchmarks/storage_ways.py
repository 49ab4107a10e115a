"""Ways to keep a frame that waits: what each costs in time, syncs and bytes written.

    python benchmarks/storage_ways.py [--sync-ms 15] [--frames 150]

Each way stores frames of 17 kB, one every 20 ms, and settles each three frames later, as the cloud's answers would. It
runs in a process of its own under a preloaded C library (`slow_sync.py`, needs `cc`) that counts syncs and, with
`--sync-ms`, makes each of them last so long, as on an SD card. Where a file system may be mounted from a file (root),
the last column is what an ext4 of its own gave to its block device; journal and inodes of the file system included.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sqlite3
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from slow_sync import environment, syncs

PICTURE_BYTES, DETAILS_BYTES, LAG, EVERY_S = 17_000, 250, 3, 0.02
TABLE = (
    "CREATE TABLE frames (number INTEGER PRIMARY KEY, frame_id TEXT NOT NULL UNIQUE, state TEXT, rank REAL, "
    "details BLOB, picture BLOB, answer TEXT)",
    "CREATE INDEX waiting ON frames (rank) WHERE state = 'waiting'",
)
INSERT = "INSERT INTO frames (frame_id, state, rank, details, picture) VALUES (?, 'waiting', ?, ?, ?)"
SETTLE = "UPDATE frames SET state = 'answered', answer = 'fox', picture = NULL WHERE frame_id = ?"


def database(path: Path, synchronous: str) -> sqlite3.Connection:
    """A table in WAL mode, pages of 1 kB."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    for pragma in ("page_size=1024", "journal_mode=WAL", f"synchronous={synchronous}"):
        connection.execute(f"PRAGMA {pragma}")
    for statement in TABLE:
        connection.execute(statement)
    return connection


def sync(path: Path, flags: int = os.O_RDONLY) -> None:
    """Fsync by name."""
    descriptor = os.open(path, flags)
    os.fsync(descriptor)
    os.close(descriptor)


class Way(Protocol):
    """Keeps frames that wait."""

    def put(self, frame_id: str, details: bytes, picture: bytes) -> None:
        """Durable when it returns, or with the next tick."""

    def settle(self, frame_id: str) -> None:
        """The answer has come."""

    def tick(self) -> None:
        """Once a second, by a thread."""


class FileFolderRow:
    """Before: a file, synced and renamed, its folder synced, its row committed; the journal's row by a thread."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.lock = folder, threading.Lock()
        self.index, self.journal = database(folder / "index.db", "FULL"), database(folder / "journal.db", "FULL")
        self.backlog: list[tuple[str, tuple[object, ...]]] = []

    def put(self, frame_id: str, details: bytes, picture: bytes) -> None:
        """Durable when it returns."""
        with self.lock:
            self.backlog.append((INSERT, (frame_id, 1.0, details, None)))
        path = self.folder / frame_id
        with path.with_suffix(".tmp").open("wb") as file:
            file.write(details + picture)
            file.flush()
            os.fsync(file.fileno())
        os.replace(path.with_suffix(".tmp"), path)
        sync(self.folder)
        self.index.execute("PRAGMA synchronous=FULL")
        self.index.execute(INSERT, (frame_id, 1.0, None, None))

    def settle(self, frame_id: str) -> None:
        """The answer is on the disk, then the frame leaves."""
        with self.lock:
            self.backlog.append((SETTLE, (frame_id,)))
        self.tick()
        (self.folder / frame_id).unlink()
        self.index.execute("PRAGMA synchronous=NORMAL")
        self.index.execute("DELETE FROM frames WHERE frame_id = ?", [frame_id])

    def tick(self) -> None:
        """Once a second, and before a frame leaves."""
        with self.lock:
            batch, self.backlog = self.backlog, []
            self.journal.execute("BEGIN")
            for sql, row in batch:
                self.journal.execute(sql, row)
            self.journal.execute("COMMIT")


class Lazy:
    """Rows are committed by a thread once a second, in one transaction, and synced with the lock free."""

    synchronous = "NORMAL"

    def __init__(self, folder: Path) -> None:
        self.folder, self.lock = folder, threading.Lock()
        self.table = database(folder / "state.db", "NORMAL")
        self.log = os.open(folder / "state.db-wal", os.O_RDONLY)
        self.rows: list[tuple[str, tuple[object, ...]]] = []
        self.leaving: list[str] = []

    def row(self, sql: str, values: tuple[object, ...]) -> None:
        """In memory until the next tick."""
        with self.lock:
            self.rows.append((sql, values))

    def tick(self) -> None:
        """Commit, sync, and let go of what was settled."""
        with self.lock:
            rows, self.rows = self.rows, []
            gone, self.leaving = self.leaving, []
        self.table.execute("BEGIN")
        for sql, values in rows:
            self.table.execute(sql, values)
        self.table.execute("COMMIT")
        os.fdatasync(self.log)
        for frame_id in gone:
            self.let_go(frame_id)

    def settle(self, frame_id: str) -> None:
        """Answer and leaving are one row."""
        with self.lock:
            self.rows.append((SETTLE, (frame_id,)))
            self.leaving.append(frame_id)

    def let_go(self, frame_id: str) -> None:
        """Of a settled frame's picture."""


class Blob(Lazy):
    """The picture in the row, committed and synced by `put`; it is set to NULL once a second."""

    def put(self, frame_id: str, details: bytes, picture: bytes) -> None:
        """Durable when it returns."""
        self.table.execute("PRAGMA synchronous=FULL")
        self.table.execute(INSERT, (frame_id, 1.0, details, picture))
        self.table.execute("PRAGMA synchronous=NORMAL")

    def tick(self) -> None:
        """With the lock held: it shares the connection with `put`."""
        super().tick()


class Segment(Lazy):
    """Records appended to a segment of 1 MB, one sync; a segment goes when all in it is settled."""

    syncs_put = True

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.number, self.file, self.size = 0, -1, 1 << 30
        self.place: dict[str, int] = {}
        self.live: defaultdict[int, int] = defaultdict(int)

    def put(self, frame_id: str, details: bytes, picture: bytes) -> None:
        """Durable when it returns."""
        body = details + picture
        if self.size > 1 << 20:
            self.number, self.size = self.number + 1, 0
            self.file = os.open(self.folder / f"{self.number}.seg", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            sync(self.folder)
        self.size += os.write(self.file, struct.pack("<4sII", b"FRAM", len(body), zlib.crc32(body)) + body)
        if self.syncs_put:
            os.fdatasync(self.file)
        self.place[frame_id] = self.number
        self.live[self.number] += 1
        self.row(INSERT, (frame_id, 1.0, details, None))

    def let_go(self, frame_id: str) -> None:
        """The last one takes the segment with it."""
        number = self.place.pop(frame_id)
        self.live[number] -= 1
        if not self.live[number] and number != self.number:
            (self.folder / f"{number}.seg").unlink()


class SegmentByThread(Segment):
    """The same, synced by the thread once a second."""

    syncs_put = False

    def tick(self) -> None:
        """The pictures first."""
        if self.file >= 0:
            os.fdatasync(self.file)
        super().tick()


class OneFile(Lazy):
    """A file written under its own name and synced once, which keeps its name too on ext4, XFS, Btrfs and F2FS."""

    syncs_put = True

    def put(self, frame_id: str, details: bytes, picture: bytes) -> None:
        """Durable when it returns."""
        descriptor = os.open(self.folder / frame_id, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        os.write(descriptor, details + picture)
        if self.syncs_put:
            os.fsync(descriptor)
        os.close(descriptor)
        self.row(INSERT, (frame_id, 1.0, details, None))

    def let_go(self, frame_id: str) -> None:
        """One unlink."""
        (self.folder / frame_id).unlink()


class OneFileByThread(OneFile):
    """The same, synced by the thread once a second: those that still wait."""

    syncs_put = False

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.unsynced: list[str] = []

    def put(self, frame_id: str, details: bytes, picture: bytes) -> None:
        """In the page cache when it returns."""
        super().put(frame_id, details, picture)
        self.unsynced.append(frame_id)

    def tick(self) -> None:
        """The pictures first."""
        with self.lock:
            files, self.unsynced = self.unsynced, []
            gone = set(self.leaving)
        for name in files:
            if name not in gone:
                with suppress(FileNotFoundError):
                    sync(self.folder / name)
        super().tick()


WAYS: dict[str, Callable[[Path], Way]] = {
    "file, folder, row (before)": FileFolderRow,
    "picture in the row": Blob,
    "segment": Segment,
    "segment, synced by a thread": SegmentByThread,
    "one file": OneFile,
    "one file, synced by a thread": OneFileByThread,
}


def written() -> int:
    """Bytes of pages that this process made the kernel write."""
    os.sync()
    return int(Path("/proc/self/io").read_text().split("write_bytes: ")[1].split()[0])


def measure(name: str, folder: Path, frames: int) -> dict[str, float]:
    """One way, in this process."""
    way = WAYS[name](folder)
    ended = threading.Event()

    def tick() -> None:
        while not ended.wait(1.0):
            with big if isinstance(way, Blob) else nothing:
                way.tick()

    big, nothing = threading.Lock(), threading.RLock()
    thread = threading.Thread(target=tick)
    thread.start()
    pictures = [os.urandom(PICTURE_BYTES + DETAILS_BYTES) for _ in range(frames)]
    before, times, on_caller = written(), [], 0
    _, all_before = syncs()
    for number, content in enumerate(pictures):
        start, (here, _) = time.perf_counter(), syncs()
        with big:
            way.put(f"{number:032x}", content[:DETAILS_BYTES], content[DETAILS_BYTES:])
        times.append(time.perf_counter() - start)
        on_caller += syncs()[0] - here
        if number >= LAG:
            way.settle(f"{number - LAG:032x}")
        time.sleep(EVERY_S)
    ended.set()
    thread.join()
    way.tick()
    total = syncs()[1] - all_before
    return {
        "ms": statistics.median(times) * 1e3,
        "p95": sorted(times)[int(0.95 * frames)] * 1e3,
        "syncs": on_caller / frames,
        "all": total / frames,
        "kB": (written() - before) / frames / 1e3,
    }


@contextmanager
def disk(work: Path) -> Iterator[tuple[Path, Path | None]]:
    """A folder on an ext4 of its own and its device's counters; where that is not allowed, a plain folder and None."""
    folder = work / "disk"
    folder.mkdir()
    image = work / "image"
    with image.open("wb") as file:
        file.truncate(256 << 20)
    made = shutil.which("mkfs.ext4") and not subprocess.run(["mkfs.ext4", "-q", image]).returncode
    if not made or subprocess.run(["mount", "-o", "loop", image, folder], capture_output=True).returncode:
        yield folder, None
        return
    try:
        device = subprocess.run(["findmnt", "-no", "SOURCE", folder], capture_output=True, text=True).stdout.strip()
        yield folder, Path("/sys/block") / Path(device).name / "stat"
    finally:
        subprocess.run(["umount", folder], check=True)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=150)
    parser.add_argument("--sync-ms", type=float, default=15.0)
    parser.add_argument("--one", nargs=2, metavar=("WAY", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.one[0], Path(options.one[1]), options.frames)))
        return
    print("| way | put, ms (95th) | with slow syncs | caller's syncs | all syncs | kB written | kB at the device |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as place:
        work = Path(place)
        for name in WAYS:
            found = []
            for slow_ms in (None, options.sync_ms):
                run = work / f"{len(list(work.iterdir()))}"
                run.mkdir()
                with disk(run) as (folder, counters):
                    sectors = [int(counters.read_text().split()[6])] if counters else []
                    command = [sys.executable, __file__, "--frames", str(options.frames), "--one", name, str(folder)]
                    said = subprocess.run(
                        command, env=environment(slow_ms, work), capture_output=True, text=True, check=True
                    ).stdout
                    found.append(json.loads(said))
                    if counters:
                        found[-1]["device"] = (
                            (int(counters.read_text().split()[6]) - sectors[0]) * 512 / options.frames / 1e3
                        )
            fast, slow = found
            device = f"{fast['device']:.0f}" if "device" in fast else ""
            print(
                f"| {name} | {fast['ms']:.2f} ({fast['p95']:.2f}) | {slow['ms']:.1f} ({slow['p95']:.1f}) "
                f"| {fast['syncs']:.2f} | {fast['all']:.2f} | {fast['kB']:.1f} | {device} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
