"""The simulated fleet of `benchmarks/fleet.py`: its clock, and that the same seed gives the same day."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parent.parent / "benchmarks"))

from simulated_fleet.device import Link
from simulated_fleet.fleet import Habits, Measured, Scenario, rhythm, simulate
from simulated_fleet.service_time import ServiceTime
from simulated_fleet.virtual_time import run_in_virtual_time

from cloud_server.config import ServerConfig

LINK = Link(bits_per_s=500e3, connect_s=0.5, frame=bytes(12_000))
SLOW = ServiceTime(0.0, 1, (1, 8), (0.1, 0.4), 8)
BUSY = Habits(frames_per_day=4000)


def run(scenario: Scenario, config: ServerConfig | None = None, seed: int = 1) -> Measured:
    return simulate(scenario, SLOW, config or ServerConfig(), LINK, seed=seed)


def test_the_clock_jumps_and_work_for_threads_takes_what_it_says() -> None:
    async def story() -> list[float]:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(86_400)
        seen = [loop.time()]

        def work() -> None:
            loop.takes_s = 2.5  # type: ignore[attr-defined]

        await loop.run_in_executor(None, work)
        return [*seen, loop.time()]

    assert run_in_virtual_time(story()) == pytest.approx([86_400, 86_402.5])


def test_what_never_happens_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="never happens"):
        run_in_virtual_time(asyncio.Event().wait())


def test_the_rhythm_of_a_day_has_the_mean_1() -> None:
    assert sum(rhythm(hour / 10) for hour in range(240)) / 240 == pytest.approx(1)
    assert rhythm(19.5) > 2 > 1 > rhythm(13)


def test_every_frame_is_answered_and_the_same_seed_gives_the_same() -> None:
    scenario = Scenario(50, BUSY, hours=0.05, steady=True)
    one, again, other = run(scenario), run(scenario), run(scenario, seed=2)
    assert one.waits == again.waits != other.waits
    assert len(one.waits) > 500 and one.put_off == one.refused == 0
    assert min(one.waits) > 0.0999  # no answer comes before the model has run


def test_what_waited_while_the_server_was_away_is_answered_after_it() -> None:
    habits = Habits(frames_per_day=400, outages_per_day=0)
    quiet = run(Scenario(50, habits, hours=0.5, steady=True))
    storm = run(Scenario(50, habits, hours=0.5, steady=True, down=(0.1, 0.3)))
    assert len(storm.waits) + storm.left == len(quiet.waits) + quiet.left  # the same visits, none lost
    assert storm.left < 20 and storm.given_up == 0
    assert max(storm.ages) > 600


def test_streams_beyond_the_limit_are_refused_and_their_frames_come_later() -> None:
    measured = run(Scenario(50, BUSY, hours=0.05, steady=True), ServerConfig(max_streams=5))
    assert measured.most_streams <= 5 and measured.refused > 0 and measured.given_up == 0


def test_a_hostile_device_takes_no_more_than_its_share() -> None:
    scenario = Scenario(20, Habits(frames_per_day=2000), hours=0.05, steady=True)
    beside = run(Scenario(20, Habits(frames_per_day=2000), hours=0.05, steady=True, hostile=(0.0, 0.05)))
    alone = run(scenario)
    assert len(beside.waits) >= 0.9 * len(alone.waits)
    assert beside.wait(95) < alone.wait(95) + 2 * 0.4 + 1
