"""The device of the soak: `EdgeClassifier` on frames of noise that all go to the cloud.

    python -m soaking.device STATE PORT ACKED SEED [drain]

Each frame that `classify` reports as waiting is promised: its id is appended to ACKED and synced. With `drain` no frame
is taken; the program ends when none waits, and prints its account. SOAK_CLOCK_OFFSET_S shifts the wall clock.
"""

from __future__ import annotations

import json
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

_offset_s = float(os.environ.get("SOAK_CLOCK_OFFSET_S", "0"))
_real_time = time.time
if _offset_s:
    time.time = lambda: _real_time() + _offset_s

import numpy as np  # noqa: E402

from edge_sdk import EdgeClassifier, Frame  # noqa: E402
from edge_sdk.config import UplinkSettings  # noqa: E402

SETTINGS = UplinkSettings(connect_timeout_s=1, reply_timeout_s=1, backoff_s=0.05, max_backoff_s=0.3)
FRAME_EVERY_S = 0.005
GROUP_S = 0.05  # of commits; a device lives for half a second here, and answers are to be on the disk when faults come
DRAIN_S = 120


def main() -> None:
    """The program."""
    state, port, acked, seed = sys.argv[1:5]
    chance = np.random.default_rng(int(seed))
    file = os.open(acked, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    target = f"127.0.0.1:{port}"
    # After a kill what the ledger had leased counts as spent, here for a second: longer than most lives of this device.
    budget = "50MB/s" if int(seed) % 4 == 0 else None
    with EdgeClassifier(
        cloud=target, state_dir=Path(state), threshold=1.01, budget=budget, spool_bytes=20_000_000, uplink=SETTINGS
    ) as edge:
        edge._parts.store._table._interval_s = GROUP_S
        print("ready", flush=True)
        if sys.argv[5:] == ["drain"]:
            end = time.monotonic() + DRAIN_S
            while edge.waiting and time.monotonic() < end:
                for _ in edge.late_answers(wait_s=1):
                    pass
            print(json.dumps({"waiting": edge.waiting, "answers_cloud": edge.lifetime_usage.answers_cloud}))
            return
        while True:
            image = chance.integers(0, 256, (48, 64, 3), np.uint8)
            answer = edge.classify(Frame(image, captured_at=datetime.fromtimestamp(time.time(), UTC), source="soak"))
            if not answer.final:
                os.write(file, f"{answer.frame_id}\n".encode())
                os.fsync(file)
            time.sleep(FRAME_EVERY_S)


if __name__ == "__main__":
    main()
