"""The device's end of the laboratory: far more frames than the budget pays for, all of them for the cloud.

    python device.py STATE TARGET BUDGET SECONDS [INTERFACE|KEYS]

prints its account as JSON at the end. With an interface, the ledger is reconciled with it, and another program's
traffic goes over it too: a datagram of 200 bytes every tenth of a second. With KEYS, a folder of `edge-sdk keys`, the
link is encrypted, and the device shows its certificate.
"""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
from pathlib import Path

import numpy as np

from edge_sdk import EdgeClassifier, Security
from edge_sdk.config import UplinkSettings

FRAMES_PER_S = 25


def chatter(host: str) -> None:
    """Another program of the device."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        while True:
            out.sendto(bytes(200), (host, 9))
            time.sleep(0.1)


def main() -> None:
    state, target, budget, seconds, *rest = sys.argv[1:]
    keys = Path(rest[0]) if rest and "/" in rest[0] else None
    interface = rest[0] if rest and keys is None else None
    security = Security(insecure=True)
    if keys is not None:
        security = Security(ca=keys / "ca.pem", cert=keys / "cam.pem", key=keys / "cam.key")
    settings = UplinkSettings(
        connect_timeout_s=2,
        reply_timeout_s=3,
        backoff_s=0.2,
        max_backoff_s=0.5,
        interface=interface,
    )
    if interface is not None:
        threading.Thread(target=chatter, args=(target.rpartition(":")[0],), daemon=True).start()
    chance = np.random.default_rng(1)
    with EdgeClassifier(
        security=security,
        cloud=target,
        state_dir=Path(state),
        threshold=1.01,
        budget=budget,
        spool_bytes=2_000_000,
        uplink=settings,
    ) as edge:
        print("ready", flush=True)
        end = time.monotonic() + float(seconds)
        while time.monotonic() < end:
            edge.classify(chance.integers(0, 256, (48, int(chance.integers(32, 96)), 3), np.uint8))
            time.sleep(1 / FRAMES_PER_S)
        waiting = edge.waiting
    account = edge.usage  # frames leave until the link is closed
    print(json.dumps({"charged": account.bytes_sent, "answers": account.answers_cloud, "waiting": waiting}))


if __name__ == "__main__":
    main()
