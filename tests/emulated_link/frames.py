"""A device that sends large frames one by one: `python frames.py STATE TARGET PAUSE_S COUNT`.

It waits for each answer, then PAUSE_S seconds, and prints as JSON at the end how many frames were answered by the
cloud, what the link said, and the bytes charged.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np

from edge_sdk import EdgeClassifier, Security


def main() -> None:
    state, target, pause_s, count = sys.argv[1:]
    chance = np.random.default_rng(1)
    messages: list[str] = []
    answered = 0
    with EdgeClassifier(cloud=target, state_dir=Path(state), threshold=1.01, security=Security(insecure=True)) as edge:
        for number in range(int(count)):
            if number:
                time.sleep(float(pause_s))
            edge.classify(chance.integers(0, 256, (200, 200, 3), np.uint8))
            end = time.monotonic() + 600
            while edge.waiting and time.monotonic() < end:
                if edge.link_message not in ("", *messages[-1:]):
                    messages.append(edge.link_message)
                time.sleep(0.02)
            answered += not edge.waiting
        print(json.dumps({"answered": answered, "messages": messages, "charged": edge.usage.bytes_sent}))


if __name__ == "__main__":
    main()
