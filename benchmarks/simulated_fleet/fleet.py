"""A fleet of devices with a daily rhythm, outages of their network and of the server, and what was measured of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

import numpy as np

from cloud_server.config import ServerConfig
from simulated_fleet.device import Device, Link, hostile
from simulated_fleet.server import Server
from simulated_fleet.service_time import ServiceTime
from simulated_fleet.virtual_time import run_in_virtual_time

HOUR_S = 3600.0
DAY_S = 24 * HOUR_S


def rhythm(hour: float) -> float:
    """How busy animals are at an hour of the day, relative to the day's mean: peaks at dawn and dusk, quiet at noon."""
    away = [min(abs(hour - peak), 24 - abs(hour - peak)) for peak in (6.5, 19.5)]
    return float(0.5 + 2.0 * np.exp(-((away[0] / 1.6) ** 2)) + 2.6 * np.exp(-((away[1] / 1.8) ** 2))) / _MEAN


_MEAN = 1.0
_MEAN = float(np.mean([rhythm(hour / 10) for hour in range(240)]))
BUSIEST = max(rhythm(hour / 10) for hour in range(240))


@dataclass(frozen=True, slots=True)
class Habits:
    """What one camera does.

    Attributes:
        frames_per_day: that go to the cloud.
        frames_per_visit: that go together.
        outages_per_day: times that its network goes away.
        outage_s: mean length of such a time.
    """

    frames_per_day: float
    frames_per_visit: int = 1
    outages_per_day: float = 0.5
    outage_s: float = HOUR_S

    def busiest_frames_per_s(self) -> float:
        """Frames per second of one camera in the busiest hour."""
        return self.frames_per_day * BUSIEST / DAY_S


@dataclass
class Measured:
    """What a run gave.

    Attributes:
        times: simulated seconds at which answers came.
        waits: seconds from a frame's arrival at the server to its answer, for each.
        ages: seconds from the picture to its answer.
        put_off: frames that were refused for a time.
        refused: streams that were refused.
        given_up: frames that were refused so often that their device keeps its own answer.
        left: frames that wait at the end.
        batches: sizes of the model's runs.
        most_streams: open at a time.
        looks: (time, frames that wait at the devices, frames that wait at the server, streams).
    """

    times: list[float] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    ages: list[float] = field(default_factory=list)
    put_off: int = 0
    refused: int = 0
    given_up: int = 0
    left: int = 0
    batches: list[int] = field(default_factory=list)
    most_streams: int = 0
    looks: list[tuple[float, int, int, int]] = field(default_factory=list)

    def wait(self, percent: float, begin_s: float = 0.0, end_s: float = np.inf) -> float:
        """A percentile of the waits for answers that came within a stretch; NaN where there are none."""
        times, waits = np.asarray(self.times), np.asarray(self.waits)
        chosen = waits[(times >= begin_s) & (times < end_s)]
        return float(np.percentile(chosen, percent)) if len(chosen) else float("nan")

    def cleared_s(self, after_s: float, few: float) -> float:
        """Seconds after `after_s` until at most `few` frames wait at the devices; infinity: not in this run."""
        return next((at - after_s for at, waiting, _, _ in self.looks if at > after_s and waiting <= few), np.inf)


@dataclass(frozen=True, slots=True)
class Scenario:
    """What happens.

    Attributes:
        devices: number of cameras.
        habits: of each.
        begin_hour: hour of the day at which it begins.
        hours: how long it lasts.
        down: hours after the beginning at which the server goes and comes back; None: it stays.
        hostile: hours after the beginning at which one device begins to do its worst, and ends; None: there is none.
        steady: the busiest hour all the time.
    """

    devices: int
    habits: Habits
    begin_hour: float = 0.0
    hours: float = 24.0
    down: tuple[float, float] | None = None
    hostile: tuple[float, float] | None = None
    steady: bool = False


def simulate(
    scenario: Scenario,
    service_time: ServiceTime,
    config: ServerConfig,
    link: Link,
    *,
    seed: int = 0,
    look_s: float = 10.0,
) -> Measured:
    """Run a scenario; the same seed gives the same result."""
    return run_in_virtual_time(_run(scenario, service_time, config, link, seed, look_s))


class Devices(dict[int, Device]):
    """The cameras of a fleet, each made when something happens to it.

    Args:
        count: how many there are.
        make: makes one from its number.
    """

    def __init__(self, count: int, make: Callable[[int], Device]) -> None:
        super().__init__()
        self.count, self._make = count, make

    def any(self, random: Random) -> Device:
        """One of them, drawn at random."""
        number = random.randrange(self.count)
        if number not in self:
            self[number] = self._make(number)
        return self[number]


async def _run(
    scenario: Scenario, service_time: ServiceTime, config: ServerConfig, link: Link, seed: int, look_s: float
) -> Measured:
    loop, measured = asyncio.get_running_loop(), Measured()
    server = Server(service_time, config)
    await server.start()

    def tell(wait_s: float, age_s: float) -> None:
        measured.times.append(loop.time())
        measured.waits.append(wait_s)
        measured.ages.append(age_s)

    jitter = Random(seed + 2)
    devices = Devices(scenario.devices, lambda number: Device(number, server, link, tell, jitter))

    async def look() -> None:
        while True:
            measured.most_streams = max(measured.most_streams, server.streams)
            waiting = sum(device.waiting for device in devices.values())
            measured.looks.append((loop.time(), waiting, server.batcher.waiting, server.streams))
            await asyncio.sleep(look_s)

    tasks = [
        asyncio.ensure_future(work)
        for work in (_visits(scenario, devices, Random(seed)), _outages(scenario, devices, Random(seed + 1)), look())
    ]
    if scenario.down is not None:
        began, ended = scenario.down
        loop.call_later(began * HOUR_S, server.go_down)
        loop.call_later(ended * HOUR_S, server.come_up)
    if scenario.hostile is not None:
        tasks.append(asyncio.ensure_future(_hostile(scenario.hostile, server, link)))
    await asyncio.sleep(scenario.hours * HOUR_S)
    for task in tasks:
        task.cancel()
    for device in devices.values():
        device.set_online(False)
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.sleep(0)
    await server.stop()
    measured.put_off = sum(device.put_off for device in devices.values())
    measured.refused = sum(device.refused for device in devices.values())
    measured.given_up = sum(device.given_up for device in devices.values())
    measured.left, measured.batches = sum(device.waiting for device in devices.values()), server.runs
    return measured


async def _visits(scenario: Scenario, devices: Devices, random: Random) -> None:
    """Visits come at random, as often as the hour says (thinning of a Poisson process)."""
    habits, loop = scenario.habits, asyncio.get_running_loop()
    most_per_s = devices.count * habits.busiest_frames_per_s() / habits.frames_per_visit
    while True:
        await asyncio.sleep(random.expovariate(most_per_s))
        hour = (scenario.begin_hour + loop.time() / HOUR_S) % 24
        if scenario.steady or random.random() * BUSIEST < rhythm(hour):
            devices.any(random).add(habits.frames_per_visit)


async def _outages(scenario: Scenario, devices: Devices, random: Random) -> None:
    """Networks of single devices go away and come back."""
    habits, loop = scenario.habits, asyncio.get_running_loop()
    per_s = devices.count * habits.outages_per_day / DAY_S

    def back(device: Device) -> None:
        device.set_online(True)

    while per_s:
        await asyncio.sleep(random.expovariate(per_s))
        device = devices.any(random)
        if device.online:
            device.set_online(False)
            loop.call_later(random.expovariate(1 / habits.outage_s), back, device)
    await asyncio.sleep(np.inf)


async def _hostile(hours: tuple[float, float], server: Server, link: Link) -> None:
    await asyncio.sleep(hours[0] * HOUR_S)
    task = asyncio.ensure_future(hostile(server, link.frame))
    await asyncio.sleep((hours[1] - hours[0]) * HOUR_S)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
