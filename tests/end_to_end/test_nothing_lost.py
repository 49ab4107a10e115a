"""The soak in short: device, server, link and disk are spoiled, and nothing is lost or counted twice."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


def soak(cycles: int, seed: int, work: Path) -> dict[str, int]:
    command = [sys.executable, str(REPOSITORY / "benchmarks" / "soak.py"), "--cycles", str(cycles), "--seed", str(seed)]
    done = subprocess.run([*command, "--work", str(work), "--json"], capture_output=True, text=True, timeout=1_500)
    assert done.returncode == 0, done.stderr[-3000:]
    (found,) = json.loads(done.stdout).values()
    return dict(found)


def assert_nothing_lost(found: dict[str, int]) -> None:
    assert found["promised"] > 5 * found["cycles"]
    assert found["cloud"] > found["promised"] / 2
    for name in ("lost", "provisional", "twice", "bad_starts", "waiting"):
        assert found[name] == 0, found
    assert not found["unreadable"], found


def test_nothing_promised_is_lost_or_counted_twice(tmp_path: Path) -> None:
    assert_nothing_lost(soak(20, 3, tmp_path))


@pytest.mark.slow
@pytest.mark.timeout(1_600)
def test_nothing_promised_is_lost_or_counted_twice_for_long(tmp_path: Path) -> None:
    assert_nothing_lost(soak(300, 4, tmp_path))
