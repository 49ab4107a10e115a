from __future__ import annotations

import pytest

from cloud_server.access.refusals import AGAIN_S, LINES, MAX_CALLERS, MINUTE_S, RefusalLog


def test_a_caller_is_told_once_and_then_counted(caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    log = RefusalLog(lambda: now[0])
    for _ in range(200):
        log.tell(("cam-1", "rate"), "a frame of cam-1", "too fast")
    assert caplog.messages == ["refused a frame of cam-1: too fast"]
    now[0] += AGAIN_S
    log.take()
    log.take()
    assert caplog.messages[1:] == ["refused a frame of cam-1 199 more times"]
    now[0] += AGAIN_S
    log.take()  # nothing came since
    log.tell(("cam-1", "rate"), "a frame of cam-1", "too fast")
    assert caplog.messages[2:] == ["refused a frame of cam-1: too fast"]


def test_lines_and_memory_are_bounded(caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    log = RefusalLog(lambda: now[0])
    for number in range(5000):
        log.tell((f"address {number}", "token"), f"a call from {number}", "no token")
    assert len(caplog.messages) == LINES
    log.take()
    assert caplog.messages[-1] == f"{5000 - LINES} further refusals are not listed one by one"
    for number in range(5000):
        now[0] += MINUTE_S / LINES
        log.tell((f"address {number}", "token"), "a call", "no token")
    assert len(log._told) <= MAX_CALLERS


def test_what_a_caller_sent_stays_on_one_line(caplog: pytest.LogCaptureFixture) -> None:
    RefusalLog().tell(("x", "y"), "a call of \x1b[2Jcam\n2026 ERROR", "x" * 1000)
    (said,) = caplog.messages
    assert said.isprintable()
    assert len(said) < 400
