"""Three real server processes: one is killed, one hangs, one drains: each frame is answered once, in budget.

Only the server that hangs is given up for its silence: until then a busy machine may take its time.
"""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from server_parts import Home, serving

from edge_sdk import EdgeClassifier, UplinkSettings
from edge_sdk.types import LinkState, Origin

LIMIT = 3_000_000
PATIENT = UplinkSettings(connect_timeout_s=600, reply_timeout_s=600, backoff_s=0.02, max_backoff_s=0.2, return_s=1e6)
SOON = dataclasses.replace(PATIENT, connect_timeout_s=2, reply_timeout_s=2)


def send(edge: EdgeClassifier, count: int, seed: int) -> set[str]:
    """Ids of `count` frames that were handed over."""
    pictures = np.random.default_rng(seed).integers(0, 255, (count, 48, 48, 3), np.uint8)
    return {edge.classify(np.ascontiguousarray(picture)).frame_id for picture in pictures}


def answered(edge: EdgeClassifier, wanted: set[str]) -> None:
    """Wait until each of these has the cloud's word, and each once."""
    heard: list[str] = []
    for late in edge.late_answers(wait_s=600):
        assert late.origin is Origin.CLOUD, late
        heard.append(late.frame_id)
        if len(heard) == len(wanted):
            break
    assert sorted(heard) == sorted(wanted)


def test_killed_stopped_draining_and_back(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with ExitStack() as stack:
        logs = [tmp_path / f"{name}.log" for name in "abc"]
        started = [stack.enter_context(serving(log, *home.options)) for log in logs]
        processes: dict[str, subprocess.Popen[str]] = {target: process for process, target in started}
        a, b, c = processes

        def device(uplink: UplinkSettings) -> EdgeClassifier:
            servers, budget = f"{a}, {b}, {c}", f"{LIMIT}B/day"
            return home.edge(servers, home.security(), budget=budget, uplink=uplink, reports=None)

        with device(PATIENT) as edge:
            answered(edge, send(edge, 3, 1))
            assert (edge.server, edge.link_message) == (a, "")

            flying = send(edge, 12, 2)
            processes[a].kill()
            flying |= send(edge, 6, 3)
            answered(edge, flying)
            answered(edge, send(edge, 2, 4))
            assert edge.server == b
            assert edge.link is LinkState.ONLINE
            assert edge.link_message.startswith(f"{b} is used: ")
            assert edge.usage.answers_cloud == 3 + 18 + 2

        edge = stack.enter_context(device(SOON))
        answered(edge, send(edge, 2, 5))
        hangs = edge.server
        os.kill(processes[hangs].pid, signal.SIGSTOP)
        answered(edge, send(edge, 5, 6))
        assert {hangs, edge.server} == {b, c}
        os.kill(processes[hangs].pid, signal.SIGCONT)

        again = stack.enter_context(serving(tmp_path / "d.log", *home.options, "--port", a.rpartition(":")[2]))
        assert again[1] == a
        drains = edge.server
        processes[drains].send_signal(signal.SIGTERM)
        answered(edge, send(edge, 5, 7))
        assert edge.server in {a, b, c} - {drains}
        usage = edge.usage
        assert usage.answers_cloud == 2 + 5 + 5
        assert usage.bytes_sent < usage.budgets[0].spent <= LIMIT  # all of the day
        assert edge.waiting == 0
