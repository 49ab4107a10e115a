"""Three real server processes: one is killed, one hangs, one drains: each frame is answered once, in budget."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from server_parts import Home, serving

from edge_sdk import EdgeClassifier, UplinkSettings
from edge_sdk.types import LinkState, Origin

LIMIT = 3_000_000
SOON = UplinkSettings(connect_timeout_s=2, reply_timeout_s=2, backoff_s=0.02, max_backoff_s=0.2, return_s=1e6)


def send(edge: EdgeClassifier, count: int, seed: int) -> set[str]:
    """Ids of `count` frames that were handed over."""
    pictures = np.random.default_rng(seed).integers(0, 255, (count, 48, 48, 3), np.uint8)
    return {edge.classify(np.ascontiguousarray(picture)).frame_id for picture in pictures}


def answered(edge: EdgeClassifier, wanted: set[str]) -> None:
    """Wait until each of these has the cloud's word, and each once."""
    heard: list[str] = []
    for late in edge.late_answers(wait_s=60):
        assert late.origin is Origin.CLOUD, late
        heard.append(late.frame_id)
        if len(heard) == len(wanted):
            break
    assert sorted(heard) == sorted(wanted)


@pytest.mark.timeout(180)
def test_killed_stopped_draining_and_back(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with ExitStack() as stack:
        logs = [tmp_path / f"{name}.log" for name in "abc"]
        started = [stack.enter_context(serving(log, *home.options)) for log in logs]
        processes: list[subprocess.Popen[str]] = [process for process, _ in started]
        a, b, c = (target for _, target in started)
        budget = f"{LIMIT}B/day"
        edge = stack.enter_context(
            home.edge(f"{a}, {b}, {c}", home.security(), budget=budget, uplink=SOON, reports=None)
        )
        answered(edge, send(edge, 3, 1))
        assert (edge.server, edge.link_message) == (a, "")

        flying = send(edge, 12, 2)
        processes[0].kill()
        flying |= send(edge, 6, 3)
        answered(edge, flying)
        answered(edge, send(edge, 2, 4))
        assert edge.server == b
        assert edge.link is LinkState.ONLINE
        assert edge.link_message.startswith(f"{b} is used: ")

        os.kill(processes[1].pid, signal.SIGSTOP)
        answered(edge, send(edge, 5, 5))
        assert edge.server == c
        os.kill(processes[1].pid, signal.SIGCONT)

        again = stack.enter_context(serving(tmp_path / "d.log", *home.options, "--port", a.rpartition(":")[2]))
        assert again[1] == a
        processes[2].send_signal(signal.SIGTERM)
        answered(edge, send(edge, 5, 6))
        assert edge.server in (a, b)
        usage = edge.usage
        assert usage.answers_cloud == 3 + 18 + 2 + 5 + 5
        assert usage.bytes_sent <= LIMIT
        assert edge.waiting == 0
