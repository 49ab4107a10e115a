from __future__ import annotations

import math
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk.budget.ledger import Ledger
from edge_sdk.budget.limits import Budget, Resource, parse_budget
from edge_sdk.errors import StorageError
from edge_sdk.testing.clock import FakeClock

IN_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""Where thousands of commits cost no disk sync: the property tests judge logic, not the disk."""


@dataclass
class World:
    """True time, the machine's two clocks, and a ledger that can be killed, closed and opened again."""

    folder: Path
    budget: Budget | None
    true_s: float = 0.0
    wall_offset_s: float = 1_800_000_000.0
    booted_s: float = 0.0
    boot: int = 1
    runs: int = 0
    granted: list[tuple[float, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.path = self.folder / "0" / "ledger.db"
        self.ledger = self.open()

    def open(self) -> Ledger:
        return Ledger(
            self.path,
            budgets=[self.budget] if self.budget else [],
            clock=lambda: self.true_s + self.wall_offset_s,
            steady=lambda: self.true_s - self.booted_s,
            boot_id=f"boot {self.boot}",
        )

    def spend(self, amount: int) -> bool:
        if not self.ledger.try_spend(upload=amount):
            return False
        self.granted.append((self.true_s, amount))
        return True

    def spent_in_window(self, end_s: float) -> int:
        assert self.budget is not None
        return sum(amount for at_s, amount in self.granted if end_s - self.budget.period_s < at_s <= end_s)

    def close(self) -> None:
        self.ledger.close()

    def kill(self) -> None:
        """Go on from what is on the disk at this moment, as after SIGKILL."""
        self.runs += 1
        image = self.folder / str(self.runs) / "ledger.db"
        image.parent.mkdir()
        for suffix in ("", "-wal"):
            if (part := Path(f"{self.path}{suffix}")).exists():
                shutil.copy(part, f"{image}{suffix}")
        self.ledger.close()
        self.path = image

    def reboot(self) -> None:
        self.boot += 1
        self.booted_s = self.true_s


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, Budget(1000, 3600.0))


amounts = st.tuples(st.just("spend"), st.one_of(st.integers(0, 20), st.integers(0, 400)))
passing = st.tuples(st.just("pass"), st.sampled_from([0.0, 0.01, 1.0, 14.0, 15.0, 59.0, 100.0, 600.0, 3599.0, 4000.0]))
restarts = st.tuples(st.sampled_from(["kill", "close"]), st.sampled_from([0.0, 1.0, 61.0, 1800.0]))
back = st.tuples(st.just("wall"), st.sampled_from([-1.0, -3600.0, -365 * 86_400.0]))
jumps = st.tuples(st.just("wall"), st.sampled_from([-3600.0, 3600.0, 365 * 86_400.0]))
reboots = st.tuples(st.sampled_from(["reboot", "cut"]), st.sampled_from([0.0, 30.0, 1800.0, 5000.0]))
budgets = st.builds(
    Budget, limit=st.integers(0, 1000), period_s=st.sampled_from([0.5, 10.0, 60.0, 3600.0, 86_400.0])
)  # fmt: skip
changes = st.tuples(st.sampled_from(["budget", "budget while open"]), budgets)


def live(world: World, steps: list[tuple[str, object]]) -> None:
    """Take the steps, and after each check every window that could have become too full."""
    for step, value in steps:
        if isinstance(value, Budget) and step == "budget while open":
            world.budget = value
            world.ledger.set_budgets([value])
        elif isinstance(value, Budget):
            world.close()
            world.budget = value
            world.ledger = world.open()
        elif step == "spend":
            assert isinstance(value, int)
            if world.spend(value):
                assert world.budget is not None
                assert world.spent_in_window(world.true_s) <= world.budget.limit
        else:
            assert isinstance(value, float)
            if step == "wall":
                world.wall_offset_s += value
                continue
            if step in ("kill", "cut"):
                world.kill()
            elif step in ("close", "reboot"):
                world.close()
            world.true_s += value
            if step in ("reboot", "cut"):
                world.reboot()
            if step != "pass":
                world.ledger = world.open()


@settings(max_examples=150, deadline=None)
@given(budget=budgets, steps=st.lists(st.one_of(amounts, amounts, passing, restarts, jumps, changes), max_size=40))
def test_no_window_is_overspent_whatever_the_wall_clock_does_within_a_boot(
    budget: Budget, steps: list[tuple[str, object]]
) -> None:
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as folder:
        world = World(Path(folder), budget)
        live(world, steps)
        world.close()


@settings(max_examples=150, deadline=None)
@given(budget=budgets, steps=st.lists(st.one_of(amounts, amounts, passing, restarts, reboots, back), max_size=40))
def test_no_window_is_overspent_over_reboots_with_a_clock_that_is_right_or_set_back(
    budget: Budget, steps: list[tuple[str, object]]
) -> None:
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as folder:
        world = World(Path(folder), budget)
        live(world, steps)
        world.close()


def test_a_calendar_or_bucket_would_pay_twice_here(world: World) -> None:
    world.true_s = 3599.0
    assert world.spend(1000)
    world.true_s = 3601.0
    assert not world.spend(1)
    world.true_s = 3599.0 + 3600.0 + 2 * 3600.0 / 256
    assert world.spend(1000)
    world.close()


def test_a_refused_charge_changes_nothing(world: World) -> None:
    assert world.spend(900)
    assert not world.spend(101)
    assert world.ledger.snapshot().spent(Resource.UPLOAD) == 900
    assert world.ledger.snapshot().bytes_sent == 900
    assert world.spend(100)
    world.close()


def test_the_wait_says_when_it_fits(world: World) -> None:
    assert world.ledger.wait_s(upload=1000) == 0.0
    assert world.ledger.wait_s(upload=1001) == math.inf
    assert world.spend(600)
    world.true_s += 1800.0
    assert world.spend(400)
    wait_s = world.ledger.wait_s(upload=500)
    assert 1800.0 < wait_s <= 1800.0 + 2 * 3600.0 / 256
    world.true_s += wait_s + 1e-6
    assert world.ledger.wait_s(upload=500) == 0.0
    assert world.spend(500)
    world.close()


def test_after_a_kill_the_rest_of_the_lease_counts_as_spent(world: World) -> None:
    world.close()
    world.budget = Budget(10**6, 86_400.0)
    world.ledger = world.open()
    for _ in range(10):
        assert world.spend(1000)
    world.kill()
    world.ledger = world.open()
    assert 10_000 < world.ledger.snapshot().spent(Resource.UPLOAD) <= 10_000 + 10**6 // 20
    world.close()


def test_a_lease_that_is_used_late_is_not_dated_early(world: World) -> None:
    assert world.spend(1)
    world.true_s += 1800.0
    for _ in range(40):
        assert world.spend(1)
    world.kill()
    world.true_s += 1800.0 + 120.0
    world.ledger = world.open()
    assert world.ledger.snapshot().spent(Resource.UPLOAD) >= 40
    world.close()


def test_small_charges_beyond_a_lease_are_covered_by_the_next(world: World) -> None:
    for _ in range(500):
        assert world.spend(1)
    world.kill()
    world.ledger = world.open()
    assert 500 <= world.ledger.snapshot().spent(Resource.UPLOAD) <= 550
    world.close()


def test_a_clean_close_gives_the_lease_back(world: World) -> None:
    assert world.spend(7)
    for _ in range(3):
        world.close()
        world.ledger = world.open()
        assert world.ledger.snapshot().spent(Resource.UPLOAD) == 7
    world.close()


def test_restarts_do_not_prolong_what_was_spent(world: World) -> None:
    assert world.spend(1000)
    while world.true_s < 3600.0 + 60.0 + 3600.0 / 256:
        world.true_s += 50.0
        world.close()
        world.ledger = world.open()
    assert world.ledger.snapshot().spent(Resource.UPLOAD) == 0
    world.close()


def test_a_clock_set_back_a_year_freezes_the_window_for_no_longer_than_its_period(world: World) -> None:
    assert world.spend(1000)
    world.wall_offset_s -= 365 * 86_400.0
    world.close()
    world.true_s += 600.0
    world.reboot()
    world.ledger = world.open()
    assert not world.spend(1)
    world.true_s += 3600.0 + 60.0
    assert world.spend(1000)
    world.close()


def test_history_is_judged_by_a_new_budget(world: World) -> None:
    assert world.spend(1000)
    world.true_s += 7200.0
    assert world.spend(500)
    world.close()
    world.budget = Budget(2000, 86_400.0)
    world.ledger = world.open()
    assert world.ledger.snapshot().spent(Resource.UPLOAD) == 1500
    assert not world.spend(501)
    assert world.spend(500)
    world.close()


def test_what_was_sent_without_a_budget_counts_once_there_is_one(tmp_path: Path) -> None:
    world = World(tmp_path, None)
    assert world.spend(10**12)
    assert world.ledger.wait_s(upload=10**15) == 0.0
    world.close()
    world.budget = Budget(1000, 3600.0)
    world.ledger = world.open()
    assert not world.spend(1)
    world.close()


def test_upload_and_compute_are_separate_accounts(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.db", budgets=[parse_budget("1kB/day"), parse_budget("2GMAC/s")]) as ledger:
        assert ledger.try_spend(upload=1000)
        assert not ledger.try_spend(upload=1)
        assert ledger.try_spend(compute=2 * 10**9)
        assert ledger.wait_s(compute=3 * 10**9) == math.inf
        assert ledger.limit(Resource.COMPUTE) == 2 * 10**9
        assert [one.budget.period_s for one in ledger.snapshot().budgets] == [86_400.0, 1.0]


def test_a_budget_of_nothing_allows_nothing(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.db", budgets=[Budget(0, 60.0)]) as ledger:
        assert not ledger.try_spend(upload=1)
        assert ledger.wait_s(upload=1) == math.inf
        assert ledger.try_spend(upload=0)


def test_numpy_integers_are_amounts(world: World) -> None:
    assert world.ledger.try_spend(upload=cast(int, np.int64(10)))
    world.ledger.count_frame(exited=True, macs=cast(int, np.int64(5)))
    assert world.ledger.flush()
    assert world.ledger.snapshot().bytes_sent == 10
    world.close()


def test_a_negative_amount_is_refused(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.db") as ledger, pytest.raises(ValueError, match="at least 0; got -1"):
        ledger.try_spend(upload=-1)


def test_the_counters_add_up_and_survive_a_restart(tmp_path: Path) -> None:
    for run in (1, 2):
        with Ledger(tmp_path / "ledger.db", big_macs=1000) as ledger:
            before = ledger.snapshot()
            for index in range(10):
                assert ledger.try_spend(compute=50)
                ledger.count_frame(exited=index >= 3, offloaded=index < 3, macs=50)
            for _ in range(3):
                assert ledger.try_spend(upload=400)
            ledger.count_answer(macs=1000, received_bytes=90)
            ledger.count_skipped()
            total = ledger.snapshot()
        assert (total.frames, total.exits, total.offloads, total.answers_cloud) == (10 * run, 7 * run, 3 * run, run)
        assert (total.bytes_sent, total.bytes_received, total.skipped_compute) == (1200 * run, 90 * run, run)
        assert (total.macs_little, total.macs_big, total.macs_total) == (500 * run, 1000 * run, 1500 * run)
        assert total.macs_all_big == 10_000 * run
        assert total.exit_ratio == 0.7
        assert total.since(before).frames == 10
        assert total.since(before).macs_total == 1500


def test_a_reply_tells_what_the_big_model_costs(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.db", big_macs=1000) as ledger:
        ledger.count_answer(macs=0, received_bytes=90)
        assert ledger.big_macs == ledger.snapshot().big_macs == 1000
        ledger.count_answer(macs=0, received_bytes=90, big_macs=3000)
        assert ledger.big_macs == ledger.snapshot().big_macs == 3000 and ledger.snapshot().macs_big == 0


def test_no_frames_no_exit_ratio(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.db") as ledger:
        assert ledger.snapshot().exit_ratio == 0.0


def test_the_counters_are_written_now_and_then_without_being_asked(world: World) -> None:
    world.ledger.count_frame(exited=True, macs=1)
    world.true_s += 11.0
    world.ledger.count_frame(exited=True, macs=1)
    world.kill()
    world.ledger = world.open()
    assert world.ledger.snapshot().frames == 2
    world.close()


def test_threads_share_one_limit(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.db", budgets=[Budget(1000, 3600.0)]) as ledger:
        granted: list[int] = []

        def spend() -> None:
            granted.append(sum(ledger.try_spend(upload=3) for _ in range(200)))

        threads = [threading.Thread(target=spend) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sum(granted) == 333
        assert ledger.snapshot().spent(Resource.UPLOAD) == 999


@pytest.mark.parametrize("damage", [b"this is no database" * 100, b"SQLite format 3\0" + bytes(range(256)) * 40])
def test_a_damaged_file_is_set_aside_and_counts_as_spent(
    world: World, damage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    world.close()
    world.path.write_bytes(damage)
    world.ledger = world.open()
    assert not world.spend(1)
    assert world.path.with_name("ledger.db.damaged").read_bytes() == damage
    assert "damaged" in caplog.text
    world.close()
    world.ledger = world.open()
    assert not world.spend(1)
    world.true_s += 3600.0 + 60.0 + 3600.0 / 128
    assert world.spend(1000)
    world.close()


def test_damage_within_the_pages_is_found_at_opening(world: World) -> None:
    for _ in range(200):
        world.true_s += 61.0
        world.spend(5)
    world.close()
    content = bytearray(world.path.read_bytes())
    for start in range(4096, len(content), 4096):
        content[start : start + 64] = b"\xa5" * 64
    world.path.write_bytes(content)
    world.ledger = world.open()
    assert not world.spend(1)
    world.close()


def test_a_second_process_is_refused(world: World) -> None:
    with pytest.raises(StorageError, match=r"expected .* to be free; another process holds it"):
        Ledger(world.path)
    world.close()


def test_a_folder_in_its_place_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot open"):
        Ledger(tmp_path)


def test_a_newer_schema_is_refused_and_left_alone(world: World) -> None:
    world.close()
    with sqlite3.connect(world.path) as connection:
        connection.execute("PRAGMA user_version=99")
    connection.close()
    with pytest.raises(StorageError, match=r"expected schema 2 or older .* got 99"):
        world.open()
    assert not list(world.path.parent.glob("*.damaged-*"))


def test_close_twice(world: World) -> None:
    world.close()
    world.close()


_SPENDER = """
import os, sys
from pathlib import Path
from edge_sdk.budget.limits import Budget, Resource
from edge_sdk.budget.ledger import Ledger
ledger = Ledger(Path(sys.argv[1]), budgets=[Budget(10_000_000, 86_400.0)])
while ledger.try_spend(upload=1700):
    os.write(1, b"1")
"""


def test_every_charge_survives_sigkill(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    charged = 0
    for seed in range(4):
        child = subprocess.Popen([sys.executable, "-c", _SPENDER, str(path)], stdout=subprocess.PIPE)
        assert child.stdout is not None
        with child.stdout as pipe:
            charged += 1700 * len(pipe.read(random.Random(seed).randrange(1, 200)))
            child.send_signal(signal.SIGKILL)
            charged += 1700 * len(pipe.read())
        child.wait()
    with Ledger(path, budgets=[Budget(10_000_000, 86_400.0)]) as ledger:
        assert charged <= ledger.snapshot().spent(Resource.UPLOAD) <= charged + 4 * 65_536


def test_no_flipped_bit_stops_the_ledger_or_frees_what_was_spent(tmp_path: Path) -> None:
    chance = random.Random(6)
    budget = Budget(1000, 86_400.0)
    with Ledger(tmp_path / "whole.db", budgets=[budget]) as ledger:
        assert ledger.try_spend(upload=900)
        ledger.remember("note", b"kept")
    content = (tmp_path / "whole.db").read_bytes()
    freed = 0
    for number in range(250):
        folder = tmp_path / str(number)
        folder.mkdir()
        flipped = bytearray(content)
        flipped[chance.randrange(len(flipped))] ^= 1 << chance.randrange(8)
        (folder / "ledger.db").write_bytes(flipped)
        with Ledger(folder / "ledger.db", budgets=[budget]) as ledger:
            freed += ledger.try_spend(upload=200)
            ledger.snapshot()
        shutil.rmtree(folder)
    assert freed <= 3  # a bit in the amount itself: SQLite has no checksums


NOW, IN_1970, IN_2099 = 1_800_000_000.0, 40.0, 4_070_908_800.0


@pytest.mark.parametrize(
    "walls",
    [
        (IN_1970, NOW),
        (NOW, IN_1970, NOW + 60),
        (IN_2099, NOW),
        (NOW, IN_2099, NOW + 60),
        (IN_1970, IN_2099, NOW, IN_1970, NOW + 60),
    ],
)
def test_a_clock_that_is_wrong_until_it_is_set_neither_frees_a_budget_nor_locks_it(
    tmp_path: Path, walls: tuple[float, ...]
) -> None:
    """Boots at these dates, a minute up each; then the limit may be spent again when a day of being up has passed."""
    clock = FakeClock()

    def opened() -> Ledger:
        return Ledger(
            tmp_path / "ledger.db",
            budgets=[Budget(1000, 86_400.0)],
            clock=clock.wall_s,
            steady=clock.steady_s,
            boot_id=clock.boot_id(),
        )

    granted = 0
    for wall_s in walls:
        clock.reboot()
        clock.set_wall_s(wall_s)
        with opened() as ledger:
            granted += ledger.try_spend(upload=1000)
            clock.pass_s(60)
    assert granted == 1
    clock.pass_s(86_400 + 600)
    with opened() as ledger:
        assert ledger.try_spend(upload=1000)


@pytest.mark.parametrize("jump", [IN_1970, IN_2099, NOW + 90 * 86_400, NOW - 90 * 86_400])
def test_a_clock_that_jumps_while_the_device_is_up_frees_and_locks_nothing(tmp_path: Path, jump: float) -> None:
    """NTP sets it, or sets it wrong and right again; the process restarts within the boot."""
    clock = FakeClock(NOW)
    for wall_s, free in ((NOW, True), (jump, False), (NOW, False)):
        clock.set_wall_s(wall_s)
        with Ledger(
            tmp_path / "ledger.db",
            budgets=[Budget(1000, 86_400.0)],
            clock=clock.wall_s,
            steady=clock.steady_s,
            boot_id=clock.boot_id(),
        ) as ledger:
            assert ledger.try_spend(upload=1000) is free
            clock.set_wall_s(jump)
            clock.pass_s(60)
            assert not ledger.try_spend(upload=1000)
            assert ledger.wait_s(upload=1000) < 86_400 + 600


@pytest.mark.parametrize(("after_s", "frames"), [(890.0, 0), (901.0, 2)])
def test_counts_of_frames_that_repeat_the_one_before_wait_longer(world: World, after_s: float, frames: int) -> None:
    world.ledger.count_frame(exited=True, macs=1, repeats=True)
    world.true_s += after_s
    world.ledger.count_frame(exited=True, macs=1, repeats=True)
    world.kill()
    world.ledger = world.open()
    assert world.ledger.snapshot().frames == frames
    world.close()


def test_looks_at_a_still_scene_share_a_lease(tmp_path: Path) -> None:
    clock, sizes = FakeClock(), set[int]()
    budget = parse_budget("10TMAC/day", Resource.COMPUTE)
    with Ledger(tmp_path / "ledger.db", budgets=[budget], clock=clock.wall_s, steady=clock.steady_s) as ledger:
        for _ in range(30):
            assert ledger.try_spend(compute=50_000_000)
            ledger.count_frame(exited=True, macs=50_000_000, repeats=True)
            sizes.add((tmp_path / "ledger.db-wal").stat().st_size)
            clock.pass_s(29.0)
    assert len(sizes) == 1
