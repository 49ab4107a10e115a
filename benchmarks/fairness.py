"""What one greedy device costs the others: 100 devices at full speed, without and with it, in one run.

    python benchmarks/fairness.py

The model is a stand-in that takes 50 ms a batch of 32. Each device sends over one stream with 4 frames under way; the
greedy one has 16 streams with 32 each. Devices are told apart by their token. Ratios compare the two halves of a run.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path
from typing import Any

import click
import grpc
import numpy as np
from hostile_clients import pictures_of, stand_in_server
from rich.console import Console
from rich.table import Table

from edge_sdk.security.tokens import add_token, new_token
from edge_sdk.wire import offload_pb2 as wire
from edge_sdk.wire import offload_pb2_grpc as wire_grpc

GREEDY_STREAMS, GREEDY_FRAMES = 16, 32


class Device:
    """One stream that keeps `frames` under way.

    Attributes:
        taken: seconds from sending to answer, of the frames answered since it was emptied.
        refused: frames put off since then.
    """

    def __init__(self, address: str, token: str, frames: int, image: bytes) -> None:
        self._make, self._frames = pictures_of(image), frames
        self._address, self._token = address, token
        self.taken: list[float] = []
        self.refused = 0

    async def run(self) -> None:
        """Send and read until cancelled."""
        metadata, began = (("authorization", f"Bearer {self._token}"),), {}
        options = [("grpc.use_local_subchannel_pool", 1)]
        async with grpc.aio.insecure_channel(self._address, options=options) as channel:
            call: Any = wire_grpc.OffloadStub(channel).Stream(metadata=metadata)
            waiting = asyncio.Semaphore(self._frames)

            async def send() -> None:
                while True:
                    await waiting.acquire()
                    request = self._make()
                    began[request.frame_id] = time.perf_counter()
                    await call.write(request)

            sending = asyncio.create_task(send())
            try:
                while (reply := await call.read()) is not grpc.aio.EOF:
                    assert isinstance(reply, wire.ClassifyReply)
                    took = time.perf_counter() - began.pop(reply.frame_id)
                    if reply.HasField("classification"):
                        self.taken.append(took)
                    else:
                        self.refused += 1
                    waiting.release()
            finally:
                sending.cancel()


async def measure(address: str, tokens: list[str], seconds: float, image: bytes) -> tuple[list[Device], Table]:
    """Run both halves and return the table."""
    quiet = [Device(address, token, 4, image) for token in tokens[1:]]
    greedy = [Device(address, tokens[0], GREEDY_FRAMES, image) for _ in range(GREEDY_STREAMS)]
    table = Table("", "frames/s of the others", "least of one", "p50 ms", "p95 ms", "put off", "greedy, frames/s")
    table.title = f"{len(quiet)} devices at full speed"
    running = [asyncio.create_task(device.run()) for device in quiet]
    rows = []
    for name, further in (("alone", []), ("beside a greedy one", greedy)):
        running += [asyncio.create_task(device.run()) for device in further]
        await asyncio.sleep(seconds / 3)
        for device in (*quiet, *greedy):
            device.taken.clear()
            device.refused = 0
        await asyncio.sleep(seconds)
        counts = [len(device.taken) / seconds for device in quiet]
        p50, p95 = np.percentile([took for device in quiet for took in device.taken], (50, 95)) * 1000
        rows.append((sum(counts), min(counts), p50, p95, float(sum(device.refused for device in quiet))))
        theirs = sum(len(device.taken) for device in greedy) / seconds
        table.add_row(name, *(f"{value:.1f}" for value in rows[-1]), f"{theirs:.1f}")
    before, after = rows
    ratios = [f"x {new / old:.2f}" if old else "" for old, new in zip(before, after, strict=True)]
    table.add_row("ratio", *ratios, "")
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    return quiet, table


@click.command()
@click.option("--devices", default=100, show_default=True)
@click.option("--seconds", default=15.0, show_default=True, help="For each half.")
def main(devices: int, seconds: float) -> None:
    """Print the share and latency of many devices without and with a greedy one."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tokens"
        tokens = [new_token() for _ in range(devices + 1)]
        for number, token in enumerate(tokens):
            add_token(path, f"device-{number}", token)
        image = _picture()
        with stand_in_server(0.05, tokens=path) as (_, address):
            _, table = asyncio.run(measure(address, tokens, seconds, image))
    Console(width=120).print(table)


def _picture() -> bytes:
    import cv2

    return bytes(cv2.imencode(".jpg", np.random.default_rng(0).integers(0, 256, (72, 96, 3), np.uint8))[1])


if __name__ == "__main__":
    main()
