"""The cloud's end of the laboratory: `python cloud.py ADDRESS PORT [KEYS [LABELS]]` answers frames until it is killed.

With KEYS, a folder of `edge-sdk keys`, it speaks TLS, demands a device certificate, and takes reports; "-": it does
neither. It knows LABELS more labels than the device does.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import grpc

from edge_sdk import open_bundle
from edge_sdk.testing.server import ScriptedServer, answer, taken


def main() -> None:
    labels = open_bundle("trailcam").manifest.labels
    credentials = None
    if len(sys.argv) > 4:
        labels = (*labels, *(f"a further label {number}" for number in range(int(sys.argv[4]))))
    if len(sys.argv) > 3 and sys.argv[3] != "-":
        ca, cert, key = (Path(sys.argv[3], name).read_bytes() for name in ("ca.pem", "server.pem", "server.key"))
        credentials = grpc.ssl_server_credentials([(key, cert)], ca, True)
    server = ScriptedServer(
        lambda request, _: answer(request, labels[0]),
        labels=labels,
        host=sys.argv[1],
        credentials=credentials,
        reports=None if credentials is None else taken,
    )
    server.port = int(sys.argv[2])
    with server:
        print("ready", flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
