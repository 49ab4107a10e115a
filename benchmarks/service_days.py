"""Days of the service in compressed time: memory, descriptors, threads and bytes written, hour by hour.

    python benchmarks/service_days.py --hours 72 --speed 400
    python benchmarks/service_days.py --hours 1.1 --speed 1 --visits 0      # an idle day: what is written, scaled

The real service (`edge_sdk.service.run_service`) runs by a config file, with a clock that goes faster, a camera of
recorded pictures at one frame in two seconds of that time, and a server in a process of its own. Bytes written are
`write_bytes` of /proc/self/io: pages that the kernel was made to write; the folder must not be a tmpfs. Threads' timers
go by real time: the lower the speed, the oftener the store commits in a device hour; an idle day needs `--speed 1`
(`benchmarks/idle_day.py` takes a minute for it).
A day's bytes are those between the first sample and the last before the end, so without the cost of a start.
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from edge_sdk import Frame, open_camera
from edge_sdk.camera.base import Camera, CameraBase, OnFault
from edge_sdk.device_config.device import DeviceConfig
from edge_sdk.device_config.reading import read
from edge_sdk.model.bundle import open_bundle
from edge_sdk.service.service import run_service
from edge_sdk.store.journal import Journal
from edge_sdk.types import Image

EVERY_S = 2.0
CONFIG = """\
[camera]
address = "simulated://trailcam?seed=1"
[gate]
heartbeat_s = {heartbeat}
[cloud]
{server}
[budgets]
upload = "5MB/day"
[storage]
state_dir = "state"
archive = "50MB, 2 days, exits: one per event"
[service]
log = "warning"
"""


class FastClock:
    """The machine's clocks, `speed` times as fast, from now on."""

    def __init__(self, speed: float) -> None:
        self._speed, self._wall_s = speed, time.time()
        self.start()

    def start(self) -> None:
        """Time begins."""
        self._start_s = time.monotonic()

    def steady_s(self) -> float:
        """Seconds since the start."""
        return (time.monotonic() - self._start_s) * self._speed

    def wall_s(self) -> float:
        """Seconds since 1970."""
        return self._wall_s + self.steady_s()

    def boot_id(self) -> str:
        """One boot."""
        return "fast"


class Days(CameraBase):
    """An idle scene with a little noise, and a visit of 16 seconds `visits` times an hour."""

    def __init__(self, clock: FastClock, hours: float, visits: float, speed: float) -> None:
        super().__init__()
        self._clock, self._end_s, self._visits, self._speed = clock, hours * 3600, visits, speed
        self._visit: list[Image] = []
        idle: Image | None = None
        with open_camera("simulated://trailcam?seed=9&frames=600") as camera:
            for frame in camera:
                if frame.truth == "empty":
                    idle = frame.image if idle is None else idle
                elif len(self._visit) < 8:
                    self._visit.append(frame.image)
                if idle is not None and len(self._visit) == 8:
                    break
        assert idle is not None
        chance = np.random.default_rng(1)
        self._idle = [np.clip(idle + chance.normal(0, 2, idle.shape), 0, 255).astype(np.uint8) for _ in range(16)]
        clock.start()

    def __iter__(self) -> Iterator[Frame]:
        number, due_s = 0, 0.0
        while due_s < self._end_s and not self._stopped.wait(max(0.0, (due_s - self._clock.steady_s()) / self._speed)):
            yield Frame(self._image(number, due_s), datetime.fromtimestamp(self._clock.wall_s(), UTC), "days")
            number, due_s = number + 1, due_s + EVERY_S

    def _image(self, number: int, now_s: float) -> Image:
        every_s = 3600 / self._visits if self._visits else float("inf")
        into = int(now_s % every_s / EVERY_S) if self._visits and now_s >= every_s else len(self._visit)
        return self._visit[into] if into < len(self._visit) else self._idle[number % len(self._idle)]


class OwnCamera(DeviceConfig):
    """A config whose camera is given."""

    camera: Days

    def open_camera(self, *, on_fault: OnFault | None = None, wait_for_camera: bool = False) -> Camera:
        """The camera."""
        return self.camera


@dataclass(frozen=True)
class Sample:
    """How the process was at one moment of device time."""

    hour: float
    rss_mb: float
    descriptors: int
    threads: int
    written: int


def sample(clock: FastClock) -> Sample:
    """How this process is now."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return Sample(
        clock.steady_s() / 3600,
        int(status["VmRSS"].split()[0]) / 1024,
        len(os.listdir("/proc/self/fd")),
        int(status["Threads"]),
        int(Path("/proc/self/io").read_text().split("write_bytes: ")[1].split()[0]),
    )


def serve(ports: Any, labels: tuple[str, ...]) -> None:
    """A server that always says the first label, in a process of its own."""
    from edge_sdk.testing.server import ScriptedServer, taken
    from edge_sdk.wire import offload_pb2 as wire

    def reply(request: wire.ClassifyRequest, _: Any) -> wire.ClassifyReply:
        shares = [0.9, *([0.1 / (len(labels) - 1)] * (len(labels) - 1))]
        said = wire.Classification(label=labels[0], confidence=0.9, probabilities=shares, macs=1000)
        server.requests.clear()
        return wire.ClassifyReply(frame_id=request.frame_id, classification=said)

    with ScriptedServer(reply, labels, reports=taken) as server:
        ports.put(server.port)
        threading.Event().wait()


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=72)
    parser.add_argument("--speed", type=float, default=400)
    parser.add_argument("--visits", type=float, default=2, help="an hour")
    parser.add_argument("--heartbeat", type=float, default=30, help="gate.heartbeat_s")
    parser.add_argument("--alone", action="store_true", help="without a server")
    parser.add_argument("--folder", type=Path, help="where the state lies; not on a tmpfs")
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    ports: Any = multiprocessing.get_context("spawn").Queue()
    labels = open_bundle("trailcam").manifest.labels
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(ports, labels), daemon=True)
    server.start()
    address = "" if options.alone else f'server = "127.0.0.1:{ports.get()}"'
    samples: list[Sample] = []
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="days-") as folder:
        path = Path(folder) / "edge-sdk.toml"
        path.write_text(CONFIG.format(heartbeat=float(options.heartbeat), server=address))
        clock = FastClock(options.speed)
        config = OwnCamera(read(path, {}))
        config.camera = Days(clock, options.hours, options.visits, options.speed)
        done = threading.Event()

        def look() -> None:
            while not done.wait(min(3600.0, options.hours * 3600 / 8) / options.speed):
                samples.append(sample(clock))

        looking = threading.Thread(target=look)
        os.sync()
        before = sample(clock)
        looking.start()
        run_service(config, clock=clock)
        done.set()
        looking.join()
        os.sync()
        samples.append(sample(clock))
        with Journal(Path(folder) / "state") as journal:
            frames = sum(1 for _ in journal.query())
        size = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
    server.terminate()
    print("| device hours | RSS, MB | descriptors | threads | written, MB |\n|---|---|---|---|---|")
    step = max(1, len(samples) // 12)
    for one in [*samples[::step], samples[-1]]:
        written = (one.written - before.written) / 1e6
        print(f"| {one.hour:.1f} | {one.rss_mb:.1f} | {one.descriptors} | {one.threads} | {written:.2f} |")
    first, last = samples[0], samples[-3]
    start = samples[-1].written - last.written + first.written - before.written
    a_day = (last.written - first.written) / (last.hour - first.hour) * 24
    print(f"written a day: {a_day / 1e6:.2f} MB; by a start and an end {start / 1e6:.2f} MB", file=sys.stderr)
    print(f"{frames} frames answered; state folder at the end: {size / 1e6:.1f} MB", file=sys.stderr)


if __name__ == "__main__":
    main()
