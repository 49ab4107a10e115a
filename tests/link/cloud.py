"""The cloud's end of the laboratory: `python cloud.py ADDRESS PORT` answers every frame until it is killed."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from scripted_server import ScriptedServer, answer

from edge_sdk import open_bundle


def main() -> None:
    labels = open_bundle("trailcam").manifest.labels
    server = ScriptedServer(lambda request, _: answer(request, labels[0]), labels=labels, host=sys.argv[1])
    server.port = int(sys.argv[2])
    with server:
        print("ready", flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
