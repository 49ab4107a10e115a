from __future__ import annotations

import pytest

from cloud_server.model.company import RETURN_S
from cloud_server.model.pace import Pace


def test_the_run_of_now_counts_with_what_is_left_of_it() -> None:
    pace = Pace()
    for frames, took_s in ((1, 1.0), (4, 2.5)):
        pace.begin(frames, 0.0)
        pace.end(took_s, failed=False)
    assert pace.answer_s(0, 4, 10.0) == 0.0  # nothing is before it: it is tried, however slow the model was
    pace.begin(4, 10.0)
    assert pace.answer_s(0, 4, 11.0) == pytest.approx(1.5 + 1.0)
    assert pace.answer_s(4, 4, 11.0) == pytest.approx(1.5 + 2.5 + 1.0)
    assert pace.answer_s(0, 4, 99.0) == pytest.approx(1.0)  # it takes longer than expected


def test_runs_that_fail_say_nothing_of_times() -> None:
    pace = Pace()
    pace.begin(1, 0.0)
    pace.end(100.0, failed=True)
    pace.end(200.0, failed=False)  # none runs
    assert pace.times.of(1) == 0.0


def test_frames_in_decode_and_callers_on_their_way_back_are_company() -> None:
    pace, now = Pace(), 0.0
    for _ in range(40):
        for frames, took_s in ((1, 0.02), (8, 0.021)):
            pace.begin(frames, now)
            now += took_s
            pace.end(now, failed=False)
            for _ in range(frames):
                pace.arrived(now)
    assert pace.company_s(1, 0, 31, now + 1, one_s=0.001, at_once=2) == 0.0
    assert pace.company_s(1, 3, 31, now + 1, one_s=0.001, at_once=2) == pytest.approx(0.002)
    pace.begin(4, now)
    pace.end(now + 0.02, failed=False)
    assert pace.company_s(1, 0, 31, now + 0.02, one_s=0.001, at_once=2) == pytest.approx(0.002 + RETURN_S)
