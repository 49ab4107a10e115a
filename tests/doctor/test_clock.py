"""Clocks, by the files of boards."""

from __future__ import annotations

from pathlib import Path

import pytest
from doctor_parts import NOW_S, board, found

from edge_sdk.doctor.finding import Level


@pytest.mark.parametrize(
    ("name", "now_s", "synchronised", "level", "said"),
    [
        ("pi_zero_2_w", 1_719_000_000.0, False, Level.FAULT, "it is not set"),
        ("pi_zero_2_w", NOW_S, False, Level.WARNING, "not synchronised"),
        ("pi_zero_2_w", NOW_S, True, Level.OK, "after a power cut it is wrong"),
        ("pi_5", NOW_S, True, Level.OK, "synchronised, clock chip rpi-rtc"),
        ("pi_5", NOW_S, None, Level.OK, "it goes on by the clock chip"),
        ("pi_5", NOW_S + 7200, True, Level.WARNING, "7600 s off"),
        ("sandbox", NOW_S, None, Level.NOTE, "a container has the clock"),
        ("pc", NOW_S, False, Level.WARNING, "clock chip rtc_cmos without a time"),
    ],
)
def test_clocks(tmp_path: Path, name: str, now_s: float, synchronised: bool | None, level: Level, said: str) -> None:
    clock = found("clock", board(name, tmp_path, now_s=now_s, synchronised=synchronised))
    assert clock.level is level and said in clock.found
    assert bool(clock.do) == (level in (Level.WARNING, Level.FAULT))
