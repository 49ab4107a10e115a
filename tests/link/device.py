"""The device's end of the laboratory: far more frames than the budget pays for, all of them for the cloud.

    python device.py STATE TARGET BUDGET SECONDS

prints its account as JSON at the end.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np

from edge_sdk import EdgeClassifier, Security
from edge_sdk.config import UplinkSettings

SETTINGS = UplinkSettings(connect_timeout_s=2, reply_timeout_s=3, backoff_s=0.2, max_backoff_s=0.5)
FRAMES_PER_S = 25


def main() -> None:
    state, target, budget, seconds = sys.argv[1:]
    chance = np.random.default_rng(1)
    with EdgeClassifier(
        security=Security(insecure=True),
        cloud=target,
        state_dir=Path(state),
        threshold=1.01,
        budget=budget,
        spool_bytes=2_000_000,
        uplink=SETTINGS,
    ) as edge:
        print("ready", flush=True)
        end = time.monotonic() + float(seconds)
        while time.monotonic() < end:
            edge.classify(chance.integers(0, 256, (48, int(chance.integers(32, 96)), 3), np.uint8))
            time.sleep(1 / FRAMES_PER_S)
        account = edge.ledger
        print(json.dumps({"charged": account.bytes_sent, "answers": account.answers_cloud, "waiting": edge.waiting}))


if __name__ == "__main__":
    main()
