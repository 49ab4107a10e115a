"""What the motion gate keeps and what it refuses, on the simulated camera, and what it costs.

    python benchmarks/motion_gate.py

A visit is kept if at least one of its frames that shows the visitor is admitted. `heartbeat off` shows what motion
alone finds: the simulated camera's clock leaps between triggers, which the heartbeat answers with a frame each.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass, field

import click
import cv2
from rich.console import Console
from rich.table import Table

from edge_sdk.camera import open_camera
from edge_sdk.camera.gate import MotionGate, MotionSettings

NEW_TRIGGER_S = 10.0


@dataclass
class Tally:
    """Counts for one gate."""

    gate: MotionGate
    visits: int = 0
    kept_visits: int = 0
    subjects: int = 0
    kept_subjects: int = 0
    empties: int = 0
    refused_empties: int = 0
    seconds: list[float] = field(default_factory=list)


def run(seed: int, fps: float, frames: int, settings: MotionSettings, tally: Tally) -> None:
    """Show one simulated sequence to a fresh gate."""
    tally.gate = MotionGate(settings)
    visit = kept = False
    before = None
    with open_camera(f"simulated://trailcam?seed={seed}&fps={fps}&frames={frames}") as camera:
        for frame in camera:
            if before is not None and (frame.captured_at - before).total_seconds() > NEW_TRIGGER_S:
                tally.visits, tally.kept_visits = tally.visits + visit, tally.kept_visits + kept
                visit = kept = False
            before = frame.captured_at
            start = time.perf_counter()
            admitted = tally.gate.admits(frame)
            tally.seconds.append(time.perf_counter() - start)
            if frame.truth == "empty":
                tally.empties, tally.refused_empties = tally.empties + 1, tally.refused_empties + (not admitted)
            else:
                tally.subjects, tally.kept_subjects = tally.subjects + 1, tally.kept_subjects + admitted
                visit, kept = True, kept or admitted
    tally.visits, tally.kept_visits = tally.visits + visit, tally.kept_visits + kept


@click.command(context_settings={"show_default": True})
@click.option("--seeds", default=6, help="Number of simulated sites.")
@click.option("--frames", default=400, help="Frames from each.")
def main(seeds: int, frames: int) -> None:
    """Measure the motion gate on the simulated camera."""
    cv2.setNumThreads(1)
    table = Table("frames/s", "gate", "visits kept", "visitor frames kept", "empties refused", "ms/frame")
    for fps in (2, 10):
        for name, settings in (("defaults", MotionSettings()), ("heartbeat off", MotionSettings(heartbeat_s=1e9))):
            tally = Tally(MotionGate())
            for seed in range(301, 301 + seeds):
                run(seed, fps, frames, settings, tally)
            table.add_row(
                str(fps),
                name,
                f"{tally.kept_visits} of {tally.visits}",
                f"{tally.kept_subjects / tally.subjects:.1%}",
                f"{tally.refused_empties / tally.empties:.1%}",
                f"{statistics.median(tally.seconds) * 1000:.2f}",
            )
    Console().print(table)


if __name__ == "__main__":
    main()
