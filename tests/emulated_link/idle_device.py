"""A device without a frame: `python idle_device.py STATE TARGET KEYS MINUTES` lets simulated minutes pass, and ends.

KEYS is a folder of `edge-sdk keys`: the link is encrypted, and the device shows its certificate.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from edge_sdk import EdgeClassifier, Security
from edge_sdk.testing import FakeClock


def main() -> None:
    state, target, folder, minutes = sys.argv[1:]
    keys, clock = Path(folder), FakeClock(time.time())
    security = Security(ca=keys / "ca.pem", cert=keys / "cam.pem", key=keys / "cam.key")
    with EdgeClassifier(cloud=target, state_dir=state, security=security, clock=clock, budget="5MB/day") as edge:
        link = edge._parts.link
        assert link is not None
        for _ in range(int(minutes)):
            clock.pass_s(60)
            link.wake_for_report()
            time.sleep(0.01)  # the link is on a thread of its own, and its server a process
    print("done")


if __name__ == "__main__":
    main()
