"""The same device on `persist-queue`: frames in its SQLiteAckQueue, a thread that sends them one by one.

    python -m soaking.queue_device STATE PORT ACKED SEED [drain]

Its answers stand in STATE/../answers, one id a line, synced before the queue is told.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path

import cv2
import grpc
import numpy as np
import persistqueue

from edge_sdk.types import new_frame_id
from edge_sdk.wire import offload_pb2 as wire
from edge_sdk.wire import offload_pb2_grpc as wire_grpc

FRAME_EVERY_S = 0.005
DRAIN_S = 120


def append(file: int, frame_id: str) -> None:
    """One more line, durable when this returns."""
    os.write(file, f"{frame_id}\n".encode())
    os.fsync(file)


def send(queue: persistqueue.SQLiteAckQueue, port: str, answers: int) -> None:
    """Send frame after frame, for ever."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = wire_grpc.OffloadStub(channel)
        while True:
            item = queue.get()
            frame_id, image = item
            try:
                reply = stub.Classify(wire.ClassifyRequest(frame_id=frame_id, image=image), timeout=1)
            except grpc.RpcError:
                queue.nack(item)
                time.sleep(0.05)
                continue
            if reply.failure.code in (wire.Failure.OVERLOADED, wire.Failure.DRAINING, wire.Failure.INTERNAL):
                queue.nack(item)
                continue
            append(answers, frame_id)
            queue.ack(item)


def main() -> None:
    """The program."""
    state, port, acked, seed = sys.argv[1:5]
    chance = np.random.default_rng(int(seed))
    mode = os.O_WRONLY | os.O_APPEND | os.O_CREAT
    promised, answers = os.open(acked, mode), os.open(Path(state).parent / "answers", mode)
    queue = persistqueue.SQLiteAckQueue(state, multithreading=True, auto_commit=True)
    print("ready", flush=True)
    threading.Thread(target=send, args=(queue, port, answers), daemon=True).start()
    if sys.argv[5:] == ["drain"]:
        end = time.monotonic() + DRAIN_S
        while (left := max(0, queue.size) + queue.unack_count()) and time.monotonic() < end:
            time.sleep(0.1)
        print(json.dumps({"waiting": left, "answers_cloud": 0}), flush=True)
        os._exit(0)
    while True:
        frame_id = new_frame_id()
        queue.put((frame_id, cv2.imencode(".jpg", chance.integers(0, 256, (48, 64, 3), np.uint8))[1].tobytes()))
        append(promised, frame_id)
        time.sleep(FRAME_EVERY_S)


if __name__ == "__main__":
    main()
