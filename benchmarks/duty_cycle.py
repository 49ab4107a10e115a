"""One cycle of a sleeping trap, measured: wake, look, answer, sleep, in seconds and, by a power model, in joules.

    python benchmarks/duty_cycle.py [--cycles 5] [--asleep-watts 0.4 --awake-watts 1.1 --active-watts 1.0 ...]

gpiozero's mock pin is raised and lowered, the simulated camera gives 5 frames a second in real time, the shipped little
model answers behind the motion gate, and a server on this machine takes what it is not sure of. Watts are assumptions
given on the command line, not measurements; seconds are this machine's, and `--slower` stretches the processor's.
"""

from __future__ import annotations

import platform
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import click
from gpiozero.pins.mock import MockFactory
from rich.console import Console
from rich.table import Table

from edge_sdk import EdgeClassifier, Frame, MotionGate, PowerModel, open_bundle, open_camera
from edge_sdk.duty import DutyCamera, PirSensor, Spent
from edge_sdk.testing import ScriptedServer
from edge_sdk.testing.server import answer

DAY_S = 86_400.0


@click.command()
@click.option("--cycles", default=5, show_default=True)
@click.option("--look-s", default=6.0, show_default=True)
@click.option("--sleep-s", default=3.0, show_default=True, help="Seconds without motion between two cycles.")
@click.option("--slower", default=1.0, show_default=True, help="How much slower the trap's processor is than this one.")
@click.option("--asleep-watts", default=0.4, show_default=True)
@click.option("--awake-watts", default=1.1, show_default=True)
@click.option("--active-watts", default=1.0, show_default=True)
@click.option("--joules-per-byte", default=1e-5, show_default=True)
@click.option("--wake-joules", default=0.0, show_default=True)
def main(cycles: int, look_s: float, sleep_s: float, slower: float, **watts: float) -> None:
    """Print the table."""
    power = PowerModel(**watts)
    labels = open_bundle("trailcam").names
    factory = MockFactory()
    sensor = PirSensor(17, pin_factory=factory)
    pin = factory.pin(17)
    model_s, frames, looked = 0.0, 0, 0
    with (
        tempfile.TemporaryDirectory() as state,
        ScriptedServer(lambda request, _: answer(request, "deer"), labels=tuple(labels)) as server,
        EdgeClassifier("trailcam", cloud=server.target, state_dir=state, gate=MotionGate()) as edge,
        DutyCamera(
            lambda: open_camera("simulated://trailcam?seed=3&fps=5&realtime=1"), trigger=sensor, look_s=look_s
        ) as camera,
    ):
        waker = threading.Thread(target=_pulses, args=(pin, camera, sleep_s, cycles), daemon=True)
        waker.start()
        counted = _Counted(camera)
        for _ in edge.watch(counted):
            frames += 1
            model_s += time.thread_time() - counted.at_s
        looked = counted.frames
        edge.late_answers(wait_s=5)
        spent = replace(camera.spent, model_s=model_s * slower, sent_bytes=edge.usage.bytes_sent)
    each = Spent(
        asleep_s=spent.asleep_s / spent.wakes,
        awake_s=spent.awake_s / spent.wakes,
        wakes=1,
        model_s=spent.model_s / spent.wakes,
        sent_bytes=round(spent.sent_bytes / spent.wakes),
    )
    table = Table(title=f"One cycle, mean of {spent.wakes}, {platform.machine()}: {looked} frames, {frames} answered")
    for column in ("", "measured", "joules"):
        table.add_column(column, justify="right" if column else "left")
    measured = {
        "sleep": f"{each.asleep_s:.2f} s",
        "wake": "1",
        "look": f"{each.awake_s:.2f} s",
        "answer": f"{1000 * each.model_s:.1f} ms of processor",
        "send": f"{each.sent_bytes:,} bytes",
    }
    for name, joules in each.parts(power).items():
        table.add_row(name, measured[name], f"{joules:.4f}")
    table.add_row("in all", f"{each.seconds:.2f} s", f"{each.joules(power):.3f}")
    console = Console()
    console.print(table)
    days = Table(title="A day by these figures")
    for column in ("visits a day", "joules a day", "mean watts", "days from 60 Wh"):
        days.add_column(column, justify="right")
    for visits in (0, 10, 100, 1000):
        day = Spent()
        for _ in range(visits):
            day += replace(each, asleep_s=0.0)
        day = replace(day, asleep_s=max(0.0, DAY_S - day.awake_s))
        joules = day.joules(power)
        days.add_row(str(visits), f"{joules:,.0f}", f"{day.mean_watts(power):.3f}", f"{60 * 3600 / joules:.1f}")
    always = Spent(awake_s=DAY_S, model_s=each.model_s * DAY_S / each.awake_s)
    days.add_row("camera always open", *_row(always, power))
    console.print(days)


def _row(day: Spent, power: PowerModel) -> tuple[str, str, str]:
    joules = day.joules(power)
    return f"{joules:,.0f}", f"{day.mean_watts(power):.3f}", f"{60 * 3600 / joules:.1f}"


class _Counted:
    """A camera's frames, with the processor time of this thread when each was handed on."""

    def __init__(self, camera: DutyCamera) -> None:
        self._camera, self.frames, self.at_s = camera, 0, 0.0

    def __iter__(self) -> Iterator[Frame]:
        for frame in self._camera:
            self.frames += 1
            self.at_s = time.thread_time()
            yield frame


def _pulses(pin: Any, camera: DutyCamera, sleep_s: float, cycles: int) -> None:
    for number in range(cycles):
        time.sleep(sleep_s)
        pin.drive_high()
        time.sleep(0.1)
        pin.drive_low()
        while camera.spent.wakes <= number:
            time.sleep(0.05)
    camera.close()


if __name__ == "__main__":
    main()
