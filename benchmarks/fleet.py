"""How many devices one core and one GPU serve, at what waiting times, what a storm does, and what it costs.

    python benchmarks/fleet.py                         # the shipped model, on one core of this machine, and a GPU's row
    python benchmarks/fleet.py --frames-per-day 200 --core-hour 0.03
    python benchmarks/fleet.py --plot docs/guides/pictures/sizing.png

Devices, their links, the model's time and the clock are simulated; what lets devices in, shares the places among them,
batches, refuses and retries is the code that ships (`OffloadService`, `Windows`, `RateLimiter`, `Batcher`, `Retries`).
One core's time for a frame is measured here; a GPU's is what the options say. Reports are not simulated.
"""

from __future__ import annotations

import math
from pathlib import Path

import click
import numpy as np
from rich.console import Console
from rich.table import Table
from simulated_fleet.device import Link
from simulated_fleet.fleet import BUSIEST, Habits, Measured, Scenario, rhythm, simulate
from simulated_fleet.service_time import ServiceTime, gpu, measure_core, picture

from cloud_server.config import ServerConfig
from edge_sdk.config import UplinkSettings

LOADS = (0.5, 0.8, 0.95, 1.1)
HOURS_A_MONTH = 730.0
SETTLED_S = 1.5
"""Seconds until the first frames have come over the devices' links."""
CLEAR = 0.02
"""Share of a storm's frames that may still wait when it counts as cleared: cameras without a network have some."""
GOAL_LOAD = 0.8
"""Of the most frames a second, in the busiest hour: what the costs are for."""
OPEN = ServerConfig(max_streams=1_000_000)


def loads_table(name: str, time: ServiceTime, habits: Habits, link: Link, frames: int) -> Table:
    """The busiest hour at several loads: `frames` answers each."""
    table = Table("load", "cameras", "frames/s", "p50 ms", "p95 ms", "p99 ms", "batch", "put off %", "streams")
    table.title = f"{name}: the busiest hour ({time.frames_per_s:.0f} frames/s at most)"
    for load in LOADS:
        per_s = load * time.frames_per_s
        cameras = int(per_s / habits.busiest_frames_per_s())
        hours = max(frames / per_s, 5.0) / 3600
        measured = simulate(Scenario(cameras, habits, hours=hours, steady=True), time, OPEN, link)
        waits = [1000 * measured.wait(percent) for percent in (50, 95, 99)]
        tried = max(1, len(measured.waits) + measured.put_off)
        table.add_row(
            f"{load:.2f}",
            f"{cameras:,}",
            f"{sum(at > SETTLED_S for at in measured.times) / (3600 * hours - SETTLED_S):.0f}",
            *(f"{wait:.0f}" for wait in waits),
            f"{np.mean(measured.batches):.1f}",
            f"{100 * measured.put_off / tried:.1f}",
            f"{per_s * UplinkSettings().idle_s:,.0f}",
        )
    return table


def days_table(cameras: int, time: ServiceTime, habits: Habits, link: Link) -> tuple[Table, dict[str, Measured]]:
    """Two hours of dusk: quiet, with a hostile device, and with the server away for an hour before."""
    table = Table("18:30 to 20:30", "answers", "p50 ms", "p95 ms", "p99 ms", "put off", "streams refused", "given up")
    table.add_column("clear after")
    table.title = f"{cameras:,} cameras on one core"
    runs = {}
    for name, down, hostile, limits in (
        ("nothing happens", None, None, OPEN),
        ("a hostile device from 19:30 on", None, (1.0, 2.0), OPEN),
        ("the server was away until 19:30", (0.0, 1.0), None, OPEN),
        ("the same, with --max-streams 1000", (0.0, 1.0), None, ServerConfig()),
    ):
        scenario = Scenario(cameras, habits, begin_hour=18.5, hours=2.0, down=down, hostile=hostile)
        measured = runs[name] = simulate(scenario, time, limits, link)
        waits = [1000 * measured.wait(percent, 3600.0) for percent in (50, 95, 99)]
        quiet = max(waiting for _, waiting, _, _ in runs["nothing happens"].looks)
        few = max(quiet, CLEAR * max(waiting for _, waiting, _, _ in measured.looks))
        cleared = "" if down is None else f"{measured.cleared_s(down[1] * 3600, few):.0f} s"
        counts = (measured.put_off, measured.refused, measured.given_up)
        table.add_row(
            name,
            f"{len(measured.waits):,}",
            *(f"{wait:.0f}" for wait in waits),
            *(f"{count:,}" for count in counts),
            cleared,
        )
    return table, runs


def costs_table(servers: dict[str, tuple[ServiceTime, float]], habits: Habits) -> Table:
    """Cameras and dollars for frames in the busiest hour at `GOAL_LOAD`."""
    table = Table("server", "frames/s", "$ per hour", "cameras", "$ per camera and month", "frames for a cent")
    table.title = f"{habits.frames_per_day:g} frames a day of each camera, {GOAL_LOAD:.0%} busy in the busiest hour"
    for name, (time, dollars) in servers.items():
        cameras = GOAL_LOAD * time.frames_per_s / habits.busiest_frames_per_s()
        month = dollars * HOURS_A_MONTH / cameras
        frames = habits.frames_per_day * HOURS_A_MONTH / 24 / month / 100
        table.add_row(
            name, f"{time.frames_per_s:.0f}", f"{dollars:g}", f"{cameras:,.0f}", f"{month:.6f}", f"{frames:,.0f}"
        )
    return table


def draw(path: Path, runs: dict[str, Measured], cameras: int) -> None:
    """The rhythm of a day, and how a fleet's backlog and waits go through the storm."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 7), layout="constrained")
    day, backlog, waits = figure.subplots(3)
    hours = np.arange(0, 24, 0.1)
    day.plot(hours, [rhythm(hour) for hour in hours], color="tab:green")
    day.set(title="Frames that need the cloud, relative to the day's mean", xlim=(0, 24), xlabel="hour", ylim=(0, None))
    day.set_xticks(range(0, 25, 3))
    for name, run in runs.items():
        at = [18.5 + when / 3600 for when, *_ in run.looks]
        backlog.plot(at, [max(1, waiting) for _, waiting, _, _ in run.looks], label=name, lw=1)
        when, wait = 18.5 + np.asarray(run.times) / 3600, 1000 * np.asarray(run.waits)
        edges = np.arange(18.5, 20.5, 1 / 30)
        p95 = [
            np.percentile(part, 95) if len(part := wait[(when >= e) & (when < e + 1 / 30)]) else math.nan for e in edges
        ]
        waits.plot(edges, p95, label=name, lw=1)
    backlog.set(title=f"Frames that wait at {cameras:,} cameras", yscale="log", xlim=(18.5, 20.5))
    backlog.legend(fontsize=8)
    waits.set(title="p95 from arrival to answer, ms", yscale="log", xlim=(18.5, 20.5), xlabel="time of day")
    halves = np.arange(18.5, 20.6, 0.5)
    for axes in (backlog, waits):
        axes.set_xticks(halves, [f"{int(hour)}:{round(60 * (hour % 1)):02d}" for hour in halves])
    for axes in (day, backlog, waits):
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=100)


@click.command()
@click.option("--model", default="trailcam", show_default=True, help="Measured on one core of this machine.")
@click.option("--cameras", default=5_000, show_default=True, help="Of the storm and the hostile device.")
@click.option("--frames-per-day", default=12.0, show_default=True, help="Of one camera, that go to the cloud.")
@click.option("--core-hour", default=0.04, show_default=True, help="$ for one core and its memory.")
@click.option("--gpu-hour", default=1.0, show_default=True, help="$ for a machine with one GPU.")
@click.option("--gpu-frames-per-s", default=2000.0, show_default=True, help="At batch 32: not measured here.")
@click.option("--gpu-alone-ms", default=5.0, show_default=True, help="A lone frame: not measured here.")
@click.option("--gpu-cores", default=8, show_default=True, help="That decode, at --decode-ms a frame.")
@click.option("--decode-ms", default=2.0, show_default=True)
@click.option("--uplink-kbit", default=500.0, show_default=True, help="Of one camera.")
@click.option("--frames", default=4_000, show_default=True, help="Answers at each load.")
@click.option("--plot", type=click.Path(path_type=Path), help="Write the storm as a picture.")
def main(
    model: str,
    cameras: int,
    frames_per_day: float,
    core_hour: float,
    gpu_hour: float,
    gpu_frames_per_s: float,
    gpu_alone_ms: float,
    gpu_cores: int,
    decode_ms: float,
    uplink_kbit: float,
    frames: int,
    plot: Path | None,
) -> None:
    """Print what one core and one GPU serve, what a storm does, and what it costs."""
    console = Console(width=130)
    habits, link = Habits(frames_per_day), Link(1000 * uplink_kbit, 0.6, picture())
    core = measure_core(model)
    accelerator = gpu(gpu_frames_per_s, gpu_alone_ms, decode_ms, gpu_cores)
    runs_ms = ", ".join(f"{size}: {1000 * run:.1f}" for size, run in zip(core.sizes, core.run_s, strict=True))
    console.print(f"{model}, one core, ms for a run with its decoding: {runs_ms}; {len(link.frame):,} bytes a frame")
    console.print(f"busiest hour: {BUSIEST:.2f} times the day's mean")
    console.print(loads_table("one core", core, habits, link, frames))
    console.print(loads_table("one GPU (assumed)", accelerator, habits, link, frames))
    table, runs = days_table(cameras, core, habits, link)
    console.print(table)
    servers = {"one core": (core, core_hour), "one GPU (assumed)": (accelerator, gpu_hour)}
    for kind in (habits, Habits(10 * frames_per_day), Habits(1000 * frames_per_day)):
        console.print(costs_table(servers, kind))
    if plot is not None:
        draw(plot, runs, cameras)


if __name__ == "__main__":
    main()
