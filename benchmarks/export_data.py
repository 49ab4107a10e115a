"""What `edge-sdk export-data` takes on a long journal: time and memory of each format.

    python benchmarks/export_data.py --frames 10000 --frames 100000

Half of the frames are of a live camera, a third are photos, the others frames of videos; bursts of eight. Each export
is a process of its own; its memory is the peak of the resident memory, less that of a process that exports nothing.
"""

from __future__ import annotations

import multiprocessing
import re
import tempfile
import time
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path

import click

from edge_sdk.formats.camtrap_dp import write_camtrap_dp
from edge_sdk.formats.coco import write_coco
from edge_sdk.formats.deployment import Deployment
from edge_sdk.formats.kinds import Taxa
from edge_sdk.formats.media import Media
from edge_sdk.formats.megadetector import write_megadetector
from edge_sdk.formats.sighting import sightings
from edge_sdk.formats.table import write_table
from edge_sdk.store.journal import Journal
from edge_sdk.store.schema import FrameRecord
from edge_sdk.store.store import Store
from edge_sdk.types import Answer, Origin, Reason

FORMATS = {
    "nothing": None,
    "megadetector": write_megadetector,
    "camtrap-dp": write_camtrap_dp,
    "coco": write_coco,
    "csv": write_table,
}
BEGIN = datetime(2026, 6, 1, tzinfo=UTC)
LABELS = ("empty", "fox", "deer", "boar", "person", "vehicle")
BURST = 8


def source(number: int) -> str:
    """Of the frame's burst: live, a photo or a video."""
    burst = number // BURST
    if burst % 6 < 3:
        return "rtsp://camera/stream"
    return f"/card/DCIM/{number:07}.JPG" if burst % 6 < 5 else f"/card/DCIM/{burst:07}.MP4"


def fill(folder: Path, frames: int) -> None:
    """A journal of that many frames."""
    with Store(folder) as store:
        for number in range(frames):
            moment = BEGIN + timedelta(seconds=number % BURST + number // BURST * 90)
            label = LABELS[number // BURST % len(LABELS)]
            answer = Answer(f"{number:032x}", moment, source(number), label, 0.9, Origin.DEVICE, True, Reason.CONFIDENT)
            store.exit(FrameRecord(answer, "trailcam 2 0a1b2c", ((label, 0.9), ("fox", 0.05)), trigger="motion"))
            if number % 5_000 == 0:
                store.flush()


def peak_bytes() -> int:
    """Peak of this process's resident memory."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


def export(form: str, folder: Path, out: Path, pipe: Connection) -> None:
    """Export in this process; sends seconds and peak resident bytes."""
    write, begun = FORMATS[form], time.perf_counter()
    if write is not None:
        with Journal(folder) as journal:
            frames = sightings(journal.query(), Media(folder), Taxa())
            write(out, frames, Deployment("d1", "hide", 52.5, -1.25))
    pipe.send((time.perf_counter() - begun, peak_bytes()))


def measured(form: str, folder: Path, out: Path) -> tuple[float, int]:
    """Seconds and peak resident bytes of an export in a process of its own."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=export, args=(form, folder, out, theirs))
    process.start()
    found: tuple[float, int] = ours.recv()
    process.join()
    return found


@click.command()
@click.option("--frames", "counts", multiple=True, type=click.IntRange(1), default=(10_000, 100_000))
def main(counts: tuple[int, ...]) -> None:
    """Measure."""
    print("| frames | format | s | memory MB | output MB |\n|---|---|---|---|---|")
    for frames in counts:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            fill(folder / "state", frames)
            _, idle = measured("nothing", folder / "state", folder)
            for form in list(FORMATS)[1:]:
                out = folder / form
                seconds, peak = measured(form, folder / "state", out)
                size = sum(one.stat().st_size for one in (out.iterdir() if out.is_dir() else [out]))
                print(f"| {frames:,} | {form} | {seconds:.1f} | {(peak - idle) / 1e6:.0f} | {size / 1e6:.1f} |")


if __name__ == "__main__":
    main()
