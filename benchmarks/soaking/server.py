"""The cloud of the soak: the real service and batcher around a model that looks at nothing.

    python -m soaking.server PORT LOG

Each inference appends the frame's id to LOG. SIGUSR1 turns reordered replies on or off; after SIGUSR2 the process
kills itself at the next inference, before its reply.
"""

from __future__ import annotations

import asyncio
import contextvars
import os
import random
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from numpy.typing import NDArray

from cloud_server.access.authenticator import Authenticator, Caller
from cloud_server.access.rates import RateLimiter
from cloud_server.access.refusals import RefusalLog
from cloud_server.api.offload import OffloadService
from cloud_server.fleet.reply_cache import ReplyCache
from cloud_server.fleet.stats import Stats
from cloud_server.model.batching import Batcher, Little
from cloud_server.model.decode import Limits, decode
from edge_sdk import open_bundle
from edge_sdk.networks.label_map import make_label_map
from edge_sdk.types import Image
from edge_sdk.wire import offload_pb2 as wire
from edge_sdk.wire import offload_pb2_grpc as wire_grpc

MACS = 1000
_current: contextvars.ContextVar[str] = contextvars.ContextVar("frame_id")


class SoakService(OffloadService):
    """Logs what is inferred, and fails on demand."""

    def __init__(self, log: Path, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._log = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self._chance = random.Random(1)
        self.shuffles = False
        self.dies = False

    async def answer(self, request: wire.ClassifyRequest, caller: Caller, parent: str = "") -> wire.ClassifyReply:
        """The reply, late by chance where replies are to be reordered."""
        _current.set(request.frame_id)
        reply = await super().answer(request, caller, parent)
        if self.shuffles:
            await asyncio.sleep(self._chance.uniform(0, 0.05))
        return reply

    async def _run(self, *arguments: Any) -> wire.Classification:
        said = await super()._run(*arguments)
        os.write(self._log, f"{_current.get()}\n".encode())
        if self.dies:
            os.kill(os.getpid(), signal.SIGKILL)
        return said


async def serve(port: int, log: Path) -> None:
    """Serve until killed."""
    labels = open_bundle("trailcam").manifest.labels
    sure = np.eye(len(labels), dtype=np.float32)[:1]

    def run(images: Sequence[Image], little: Sequence[Little]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        return np.repeat(sure, len(images), 0), np.full(len(images), MACS, np.int64)

    batcher = Batcher(lambda data, region: (decode(data, Limits()),), run, max_batch=8, max_queue=128)
    description = wire.Description(model="soak", labels=labels, macs=MACS, input_width=8, input_height=8)
    service = SoakService(
        log,
        batcher,
        make_label_map(labels, {}),
        description,
        cache=ReplyCache(log.with_name("answers.db"), "soak"),
        authenticator=Authenticator(),
        limiter=RateLimiter(None, 1),
        stats=Stats(),
        refusals=RefusalLog(),
    )
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    wire_grpc.add_OffloadServicer_to_server(service, server)
    if not server.add_insecure_port(f"127.0.0.1:{port}"):
        raise SystemExit(f"port {port} is taken")
    await batcher.start()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, lambda: setattr(service, "shuffles", not service.shuffles))
    loop.add_signal_handler(signal.SIGUSR2, lambda: setattr(service, "dies", True))
    await server.start()
    print("ready", flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), Path(sys.argv[2])))
