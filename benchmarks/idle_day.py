"""What a day on which nothing happens writes: looks at a still scene, answered and committed as on a device.

    python benchmarks/idle_day.py --folder FOLDER      # not on a tmpfs

The shipped bundle answers an idle frame of the simulated camera every `gate.heartbeat_s`; the clock is set, so a day
takes a minute. Rows are committed when `StorageSettings.repeats_s` have passed, as the store's thread would, and all is
synced then, so that each page that is written again counts again. Bytes are `write_bytes` of /proc/self/io: pages that
this process made the kernel write, the log's index in shared memory included, the file system's own journal not.
`benchmarks/service_days.py --speed 1 --visits 0` takes real time for the same.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from edge_sdk import EdgeClassifier, Frame, StorageSettings, open_camera
from edge_sdk.testing import FakeClock

WAYS = ((30.0, 0.0), (30.0, 600.0), (30.0, 900.0), (30.0, 3600.0), (600.0, 0.0), (600.0, 900.0))
"""Seconds between looks, and until they are written."""


def written() -> int:
    """Bytes that this process has made the kernel write."""
    os.sync()
    return int(Path("/proc/self/io").read_text().split("write_bytes: ")[1].split()[0])


def idle_frame() -> Frame:
    """A frame in which nothing is."""
    with open_camera("simulated://trailcam?seed=9&frames=600") as camera:
        return next(frame for frame in camera if frame.truth == "empty")


def day(folder: Path, still: Frame, heartbeat_s: float, repeats_s: float, hours: float) -> tuple[float, int]:
    """MB that 24 hours write, from `hours` of them, and the commits of the table in `hours`."""
    clock, wait_s, commits = FakeClock(), 0.0, 0
    storage = StorageSettings(repeats_s=repeats_s)
    with EdgeClassifier("trailcam", state_dir=folder, storage=storage, clock=clock) as edge:
        edge._walk.answer(still, "heartbeat")
        edge._parts.store.flush()
        before = written()
        for _ in range(round(hours * 3600 / heartbeat_s)):
            clock.pass_s(heartbeat_s)
            frame = replace(
                still, frame_id=Frame(still.image).frame_id, captured_at=datetime.fromtimestamp(clock.wall_s(), UTC)
            )
            edge._walk.answer(frame, "heartbeat")
            wait_s += heartbeat_s
            if wait_s >= repeats_s:
                edge._parts.store.flush()
                os.sync()
                wait_s, commits = 0.0, commits + 1
        return (written() - before) / 1e6 * 24 / hours, commits


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="where the state lies; not on a tmpfs")
    parser.add_argument("--hours", type=float, default=24.0)
    options = parser.parse_args()
    still = idle_frame()
    print("| seconds between looks | written after at most, s | commits a day | MB a day |\n|---|---|---|---|")
    for heartbeat_s, repeats_s in WAYS:
        hours = options.hours if repeats_s else options.hours / 4  # a sync for each look takes its time
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            a_day, commits = day(Path(folder), still, heartbeat_s, repeats_s, hours)
        print(f"| {heartbeat_s:.0f} | {repeats_s:.0f} | {commits * 24 / hours:.0f} | {a_day:.1f} |", flush=True)


if __name__ == "__main__":
    main()
