from __future__ import annotations

import pytest

from cloud_server.fleet.measures import (
    MOST_CALLS,
    MOST_DEVICES,
    MOST_EXITS,
    MOST_MODELS,
    OTHER_EXITS,
    OTHER_MODELS,
    OTHERS,
    UNPROVEN,
    Measures,
)


def test_refusals_are_counted_by_device_and_reason() -> None:
    measures = Measures()
    for _ in range(3):
        measures.count_refusal("cam-1", True, "OVERLOADED")
    measures.count_refusal("cam-1", True, "BAD_IMAGE")
    measures.count_refusal("1.2.3.4", False, "BAD_IMAGE")
    assert measures.refused() == [
        ("cam-1", "BAD_IMAGE", 1),
        ("cam-1", "OVERLOADED", 3),
        (UNPROVEN, "BAD_IMAGE", 1),
    ]


def test_answers_are_counted_by_model_and_version_within_bounds() -> None:
    measures = Measures()
    for number in range(MOST_MODELS + 5):
        measures.count_answer("trailcam", f"{number:03}")
    measures.count_answer("trailcam", "000")
    told = {(model, version): count for model, version, count in measures.answered()}
    assert (told["trailcam", "000"], told[OTHER_MODELS, ""], len(told)) == (2, 5, MOST_MODELS + 1)


def test_exits_are_counted_by_model_within_bounds() -> None:
    measures = Measures()
    for number in range(MOST_EXITS + 3):
        measures.count_exit("trailcam", f"blocks.{number:04}")
    measures.count_exit("trailcam", "blocks.0000")
    told = {(model, name): count for model, name, count in measures.exits()}
    assert (told["trailcam", "blocks.0000"], told[OTHER_MODELS, OTHER_EXITS], len(told)) == (2, 3, MOST_EXITS + 1)


def test_many_devices_and_calls_take_no_more_than_is_bounded() -> None:
    measures = Measures()
    for number in range(2 * MOST_DEVICES):
        measures.count_refusal(f"cam-{number}", True, "OVERLOADED")
        measures.count_call(f"service/Method{number}", "OK", 1.0)
    counts = {device: count for device, _, count in measures.refused()}
    assert (len(counts), counts[OTHERS]) == (MOST_DEVICES + 1, MOST_DEVICES)
    assert len(measures.calls()) == MOST_CALLS + 1


def test_work_that_fails_takes_time_too() -> None:
    measures = Measures()
    assert measures.timed("decode", lambda number: number + 1)(2) == 3
    with pytest.raises(ZeroDivisionError):
        measures.timed("decode", lambda: 1 // 0)()
    assert measures.stages["decode"].read()[0][-1] == ("+Inf", 2)
