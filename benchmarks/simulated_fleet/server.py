"""The cloud server's own admission, fairness and batching, around a model that only takes time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from functools import partial
from typing import Any, cast

import grpc
import numpy as np

from cloud_server.access.authenticator import Authenticator
from cloud_server.access.rates import RateLimiter
from cloud_server.access.refusals import RefusalLog
from cloud_server.api.offload import OffloadService
from cloud_server.api.windows import Windows
from cloud_server.config import ServerConfig
from cloud_server.fleet.remembered_replies import RememberedReplies
from cloud_server.fleet.stats import Stats
from cloud_server.model.batching import Batcher, Little, Looks, Probabilities
from cloud_server.model.decoders import Decoders, Order
from edge_sdk.networks.label_map import make_label_map
from edge_sdk.types import Image, Region
from edge_sdk.wire import offload_pb2 as wire
from simulated_fleet.service_time import ServiceTime
from simulated_fleet.virtual_time import VirtualLoop

LABELS = ("animal", "empty")
_PIXEL: Image = np.zeros((1, 1, 3), np.uint8)


class Refused(Exception):
    """The server has ended a call with this status."""


class Call:
    """One stream between a device and the server, with HTTP/2's window of unread bytes.

    Args:
        peer: the device's address, as gRPC says it.
        unread: frames that may lie unread.
    """

    def __init__(self, peer: str, unread: int) -> None:
        self._peer = peer
        self.requests: asyncio.Queue[Any] = asyncio.Queue(unread)
        self.replies: asyncio.Queue[wire.ClassifyReply] = asyncio.Queue()

    def peer(self) -> str:
        """The device's address."""
        return self._peer

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        """No token: devices are told apart by their address."""
        return ()

    def auth_context(self) -> dict[str, Any]:
        """No certificate."""
        return {}

    async def read(self) -> Any:
        """The next request, or `EOF`."""
        return await self.requests.get()

    async def write(self, reply: wire.ClassifyReply) -> None:
        """Hand a reply to the device."""
        self.replies.put_nowait(reply)

    async def abort(self, code: grpc.StatusCode, details: str = "") -> None:
        """End the call."""
        raise Refused(f"{code.name}: {details}")


class _Hands:
    """Decodes as the threads of `Decoders` do, in simulated time: so many pictures at once, one after the other."""

    def __init__(self, decoders: Decoders, loop: VirtualLoop) -> None:
        self._decoders, self._loop = decoders, loop
        self._waiting: deque[Order] = deque()
        self._busy = 0

    def begin(self, order: Order) -> None:
        """Take an order."""
        self._waiting.append(order)
        self._go_on()

    def _go_on(self) -> None:
        while self._waiting and self._busy < self._decoders.threads:
            self._busy += 1
            order = self._waiting.popleft()
            self._loop.run_in_executor(None, order.do, self._loop.time).add_done_callback(partial(self._end, order))

    def _end(self, order: Order, done: asyncio.Future[None]) -> None:
        self._busy -= 1
        self._go_on()
        self._decoders.done(order)


class Server:
    """`OffloadService` and `Batcher` as the process builds them, with simulated time for decoding and the model.

    Args:
        service_time: what frames cost.
        config: queue, windows and limits.
    """

    def __init__(self, service_time: ServiceTime, config: ServerConfig) -> None:
        self._time = service_time
        self._loop = loop = cast(VirtualLoop, asyncio.get_running_loop())
        self.stats, self.is_up = Stats(), True
        self.runs: list[int] = []
        self._open: set[asyncio.Task[None]] = set()
        self._authenticator = Authenticator(
            max_streams=config.max_streams, max_streams_per_device=config.max_streams_per_device
        )
        self.batcher = Batcher(
            self._prepare,
            self._run,
            max_batch=service_time.max_batch,
            max_queue=config.queue,
            max_wait_s=config.max_wait_ms / 1000,
            decoders=service_time.decoders,
            on_batch=self.runs.append,
            clock=loop.time,
        )
        self.batcher.decoders.begin = _Hands(self.batcher.decoders, loop).begin  # type: ignore[method-assign]
        self.service = OffloadService(
            self.batcher,
            make_label_map(LABELS, {}),
            wire.Description(model="simulated", labels=LABELS),
            cache=RememberedReplies(1000),
            authenticator=self._authenticator,
            limiter=RateLimiter(config.max_frames_per_s, config.burst, max_devices=1_000_000, clock=loop.time),
            stats=self.stats,
            refusals=RefusalLog(loop.time),
            windows=Windows(config.stream_window, config.queue, clock=loop.time),
            clock=loop.time,
        )

    @property
    def streams(self) -> int:
        """Open streams."""
        return self._authenticator.open_streams()

    async def start(self) -> None:
        """Begin to take frames."""
        await self.batcher.start()

    async def stop(self) -> None:
        """End without draining."""
        self.go_down()
        await self.service.close()
        await self.batcher.stop()

    def open(self, call: Call) -> asyncio.Task[None]:
        """Serve a stream; the task ends with the call."""
        task = asyncio.ensure_future(self.service.Stream(cast(Any, None), call))
        self._open.add(task)
        task.add_done_callback(self._open.discard)
        return task

    def go_down(self) -> None:
        """Be gone at once, as a server without power is: all streams break, and none can be opened."""
        self.is_up = False
        for task in tuple(self._open):
            task.cancel()

    def come_up(self) -> None:
        """Take calls again."""
        self.is_up = True

    def _prepare(self, data: Any, region: Region | None) -> Looks:
        self._loop.takes_s = self._time.decode_s
        return (_PIXEL,)

    def _run(self, images: Sequence[Image], littles: Sequence[Little]) -> tuple[Probabilities, Any]:
        self._loop.takes_s = self._time.of(len(images))
        return np.full((len(images), len(LABELS)), 0.5, np.float32), np.ones(len(images), np.int64)
