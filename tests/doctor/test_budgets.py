"""Budgets against frames as they were measured."""

from __future__ import annotations

from typing import Any

import pytest
from doctor_parts import look
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.doctor.finding import Asked, Case, Finding, Level
from edge_sdk.doctor.machine import Machine
from edge_sdk.wire.cost import CONNECTION_BYTES, frame_bytes

MODEL = {"frame_bytes": 20_000, "macs": 50_000_000, "frame_ms": 100.0}


def budget(name: str, asked: Asked, camera: dict[str, Any] | None = None, model: dict[str, Any] | None = None) -> Any:
    case = Case(Machine(), asked)
    case.found["camera"] = Finding(Level.OK, "", "", camera or {})
    case.found["bundle"] = Finding(Level.OK, "", "", MODEL if model is None else model)
    case.found["server"] = Finding(Level.OK, "", "", {"macs": 10**9})
    return look(name, case)


@pytest.mark.parametrize(
    ("text", "level", "said"),
    [
        ("5MB/day", Level.OK, "frames/day"),
        ("10kB/min", Level.FAULT, "does not pay for one connection"),
        ("30kB/week", Level.WARNING, "a frame every"),
        ("5MB/day, 3 frames/day", Level.WARNING, "3 frames/day"),
        ("0 frames/day", Level.FAULT, "nothing is ever sent"),
        ("5Mb/day", Level.FAULT, "expected a budget"),
        ("100GB/day", Level.OK, "frames/s"),
    ],
)
def test_upload(text: str, level: Level, said: str) -> None:
    finding = budget("upload-budget", Asked(upload_budget=text))
    assert finding.level is level and said in finding.found and bool(finding.do) == (level is not Level.OK)


def test_no_budget_is_noted_where_there_is_a_link() -> None:
    assert budget("upload-budget", Asked()) is None
    assert budget("upload-budget", Asked(cloud="127.0.0.1:5")).level is Level.NOTE
    assert budget("upload-budget", Asked(upload_budget="1MB/day"), model={}).level is Level.NOTE


@given(limit=st.integers(0, 10**9), frame=st.integers(100, 10**6), days=st.sampled_from([1, 7, 30]))
def test_the_frames_of_a_day_are_those_that_a_window_pays_for(limit: int, frame: int, days: int) -> None:
    finding = budget("upload-budget", Asked(upload_budget=f"{limit}B/{days} days"), {"frame_bytes": frame})
    each = frame_bytes(frame + 100)
    whole = max(0, (limit - CONNECTION_BYTES) // each)
    assert whole <= finding.values["frames_per_day"] * days + 0.06 * days
    assert (finding.level is Level.FAULT) == (whole < 1)


@pytest.mark.parametrize(
    ("text", "watts", "camera", "level"),
    [
        ("2GMAC/s", None, {}, Level.OK),
        ("2GMAC/s", None, {"live": True, "frames_per_s": 100.0}, Level.NOTE),
        ("10MMAC/s", None, {}, Level.FAULT),
        ("3kJ/h", None, {}, Level.WARNING),
        ("3kJ/h", 3.0, {}, Level.OK),
        ("0.1J/s", 3.0, {}, Level.FAULT),
        ("5MB/day", None, {}, Level.FAULT),
    ],
)
def test_compute(text: str, watts: float | None, camera: dict[str, Any], level: Level) -> None:
    assert budget("compute-budget", Asked(compute_budget=text, watts=watts), camera).level is level


def test_the_big_models_work() -> None:
    assert budget("compute-budget", Asked()) is None and budget("cloud-budget", Asked()) is None
    assert budget("cloud-budget", Asked(cloud_budget="10TMAC/day")).values["frames_per_day"] == 10_000
    assert budget("cloud-budget", Asked(cloud_budget="1MMAC/day")).level is Level.FAULT
    assert budget("cloud-budget", Asked(cloud_budget="1kJ/day")).level is Level.FAULT
    assert budget("compute-budget", Asked(compute_budget="1GMAC/s"), model={}).level is Level.NOTE


def test_what_the_device_has_offloaded_is_held_against_the_budget() -> None:
    case = Case(Machine(), Asked(upload_budget="1MB/day"))
    case.found["bundle"] = Finding(Level.OK, "", "", MODEL)
    case.found["store"] = Finding(Level.OK, "", "", {"offloaded_per_day": 500.0})
    finding = look("upload-budget", case)
    assert finding is not None and finding.level is Level.WARNING and "500 frames/day lately" in finding.found
