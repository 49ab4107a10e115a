"""How many threads long work takes."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.workbench import threads
from edge_sdk.workbench.threads import Cores, idle_cores, look, quota, take_threads


@pytest.fixture(autouse=True)
def same_threads_after() -> object:
    before = torch.get_num_threads(), cv2.getNumThreads()
    yield
    torch.set_num_threads(before[0])
    cv2.setNumThreads(before[1])


@given(st.floats(0.1, 512), st.floats(0, 1))
def test_a_core_is_always_left_to_others_where_there_are_several(usable: float, share: float) -> None:
    cores = Cores(usable, usable * share)
    assert 1 <= cores.spare() <= max(1, round(usable) - 1)
    assert cores.spare() <= max(1, round(cores.idle))


@pytest.mark.parametrize(
    ("usable", "idle", "spare"),
    [(2, 2, 1), (2, 0, 1), (1, 1, 1), (0.5, 0.5, 1), (16, 16, 15), (16, 3.6, 4), (64, 0.3, 1)],
)
def test_the_idle_cores_are_taken(usable: float, idle: float, spare: int) -> None:
    assert Cores(usable, idle).spare() == spare


def test_idle_time_is_read_from_the_cores_of_this_process_alone() -> None:
    before = "cpu  0 0 0 0\ncpu0 10 0 10 100 0 0 0 0 0 0\ncpu1 0 0 0 0 0 0 0 0 0 0\ncpu2 5 5 5 5 5 5 5 5\nintr 5\n"
    after = "cpu  0 0 0 0\ncpu0 20 0 10 110 0 0 0 0 0 0\ncpu1 30 0 0 60 10 0 0 0 0 0\ncpu2 9 9 9 5 5 9 9 9\nintr 9\n"
    assert idle_cores(before, after, [0, 1]) == pytest.approx(0.5 + 0.7)
    assert idle_cores(before, after, [2]) == 0
    assert idle_cores(before, before, [0]) == 0


def test_a_reading_is_within_the_cores_of_the_process() -> None:
    found = look()
    assert 0 <= found.idle <= found.usable <= (os.cpu_count() or 1)


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({}, float("inf")),
        ({"cpu.max": "max 100000\n"}, float("inf")),
        ({"cpu.max": "150000 100000\n"}, 1.5),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, float("inf")),
        ({"cpu/cpu.cfs_quota_us": "400000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 4),
        ({"cpu.max": "garbled"}, float("inf")),
    ],
)
def test_a_containers_quota_counts(files: dict[str, str], cores: float, tmp_path: Path) -> None:
    (tmp_path / "cpu").mkdir()
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert quota(tmp_path) == cores


def test_the_number_that_was_taken_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert take_threads(1).sentence() == "threads: 1 (as asked)"
    assert torch.get_num_threads() == cv2.getNumThreads() == 1
    monkeypatch.setattr(threads, "look", lambda: Cores(8, 2.2))
    torch.set_num_threads(4)
    taken = take_threads(None)
    assert taken.sentence() == "threads: 2 (2.2 of 8 cores are idle; --threads takes another number)"
    assert torch.get_num_threads() == taken.number == 2
    monkeypatch.setattr(threads, "look", lambda: Cores(8, 8))
    assert take_threads(None).number == 2  # torch's own choice bounds it
