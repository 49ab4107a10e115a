"""Run as a process: a device that sends frames to a cluster, as many as each line of its input says."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

import numpy as np

from edge_sdk import EdgeClassifier, Security, UplinkSettings

AHEAD = 4
"""Frames that wait for an answer at a time."""


def main(folder: Path, servers: str, token_file: Path, seed: int) -> None:
    """Send to the first server that answers; what came of it goes to the folder."""
    random = np.random.default_rng(seed)
    heard: Counter[str] = Counter()
    sent: list[str] = []
    origins: Counter[str] = Counter()
    used: list[str] = []
    with EdgeClassifier(
        "trailcam",
        cloud=servers,
        state_dir=folder / "state",
        threshold=1.0,
        security=Security(token_file=token_file, insecure=True),
        uplink=UplinkSettings(backoff_s=0.1, max_backoff_s=2, connect_timeout_s=10, reply_timeout_s=20, return_s=5),
        budget="100MB/day",
        reports=None,
    ) as edge:
        for line in sys.stdin:
            left = int(line)
            while left or len(heard) < len(sent):
                while left and len(sent) - len(heard) < AHEAD:
                    left -= 1
                    sent.append(edge.classify(random.integers(0, 250, (48, 48, 3), np.uint8)).frame_id)
                for late in edge.late_answers(wait_s=1):
                    heard[late.frame_id] += 1
                    origins[late.origin.value] += 1
                    if edge.server and edge.server not in used[-1:]:
                        used.append(edge.server)
                    sys.stdout.write("answered\n")
                    sys.stdout.flush()
                    break  # and see whether more are to be sent
        told = {
            "sent": sorted(sent),
            "heard": dict(heard),
            "origins": dict(origins),
            "used": used,
            "cloud": edge.usage.answers_cloud,
            "waiting": edge.waiting,
        }
    (folder / "told.json").write_text(json.dumps(told))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))
