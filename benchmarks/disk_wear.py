"""What a frame costs the SD card: bytes that spool, journal and ledger hand to the disk.

    python benchmarks/disk_wear.py --frames 300

A process that classifies, stores, sends and acknowledges frames is measured by `write_bytes` of /proc/self/io: pages
that the kernel was made to write, 4 KB each. It runs on the file system of --folder, which must not be a tmpfs.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from edge_sdk import EdgeClassifier, Frame, open_bundle, open_camera
from edge_sdk.testing.server import ScriptedServer, answer

NEVER, ALWAYS = 1.01, 0.0


def written() -> int:
    """Bytes that this process has handed to the disk, all that is pending included."""
    os.sync()
    return int(Path("/proc/self/io").read_text().split("write_bytes: ")[1].split()[0])


def pictures(count: int) -> list[Frame]:
    """Frames of the simulated camera, captured now."""
    with open_camera(f"simulated://trailcam?seed=9&frames={count}") as camera:
        return [Frame(np.array(frame.image), captured_at=datetime.now(UTC), source="wear") for frame in camera]


def measure(
    frames: list[Frame], folder: Path, run: Callable[[EdgeClassifier, Frame], None], **options: object
) -> float:
    """Bytes written for one frame."""
    with EdgeClassifier(state_dir=folder, **options) as edge:  # type: ignore[arg-type]
        before = written()
        for frame in frames:
            run(edge, frame)
    return (written() - before) / len(frames)


def classify(edge: EdgeClassifier, frame: Frame) -> None:
    """One frame, and a pause like that between two frames of a slow camera."""
    edge.classify(frame)
    time.sleep(0.05)


def classify_and_wait(edge: EdgeClassifier, frame: Frame) -> None:
    """One frame, and its answer from the cloud."""
    edge.classify(frame, wait_s=10)
    while edge.waiting:
        time.sleep(0.002)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--folder", type=Path, default=Path.cwd())
    options = parser.parse_args()
    frames = pictures(options.frames)
    labels = open_bundle("trailcam").manifest.labels
    print("| frame | bytes written | of this the picture |")
    print("|---|---|---|")
    with tempfile.TemporaryDirectory(dir=options.folder) as work:
        spooled = Path(work) / "spooled"
        exits = measure(frames, Path(work) / "exits", classify, threshold=ALWAYS, budget="5GB/day")
        waits = measure(frames, spooled, classify, threshold=NEVER, budget="5GB/day")
        size = sum(path.stat().st_size for path in spooled.rglob("*.frame")) / len(frames)
        with ScriptedServer(lambda request, _: answer(request, labels[0]), labels=labels) as server:
            sent = measure(
                frames, Path(work) / "sent", classify_and_wait, threshold=NEVER, budget="5GB/day", cloud=server.target
            )
    print(f"| exits, 20 frames a second | {exits / 1000:.1f} kB | |")
    print(f"| waits for the cloud | {waits / 1000:.1f} kB | {size / 1000:.1f} kB |")
    print(f"| is sent and answered at once | {sent / 1000:.1f} kB | {size / 1000:.1f} kB |")


if __name__ == "__main__":
    main()
