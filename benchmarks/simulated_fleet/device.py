"""One device's way out, with the waits of the real one: its window, its backoff, its retries of single frames."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import Any, cast

from edge_sdk.config import UplinkSettings
from edge_sdk.link.retries import Cause, Retries
from edge_sdk.store.spool import Spool
from edge_sdk.wire import offload_pb2 as wire
from simulated_fleet.server import Call, Server

UNREAD_BYTES = 64 << 10
_IDS = itertools.count()


@dataclass(frozen=True, slots=True)
class Link:
    """The way to the server.

    Attributes:
        bits_per_s: of the uplink.
        connect_s: seconds to open a connection, TLS included.
        frame: an encoded picture.
    """

    bits_per_s: float
    connect_s: float
    frame: bytes

    @property
    def frame_s(self) -> float:
        """Seconds that a frame takes to leave."""
        return 8 * len(self.frame) / self.bits_per_s


class Frames:
    """What the retries know as the spool, in memory."""

    def __init__(self) -> None:
        self.made_at: dict[str, float] = {}
        self._tries: dict[str, float] = {}

    def __contains__(self, frame_id: str) -> bool:
        return frame_id in self.made_at

    @property
    def any_tried(self) -> bool:
        """Whether a frame has failed before."""
        return bool(self._tries)

    def tries(self, frame_id: str) -> int:
        """How often it failed."""
        return int(self._tries.get(frame_id, 0) > 0)

    def step_back(self, frame_id: str, amount: float) -> float:
        """Put a frame behind the others, and count a try."""
        self.made_at[frame_id] = self.made_at.pop(frame_id)
        self._tries[frame_id] = self._tries.get(frame_id, 0.0) + amount
        return self._tries[frame_id]

    def drop(self, frame_id: str) -> None:
        """A frame is answered, or given up."""
        del self.made_at[frame_id]
        self._tries.pop(frame_id, None)


class Device:
    """Sends what it made while the way is open.

    Args:
        number: tells devices apart; its address is made of it.
        server: to send to.
        link: the way.
        tell: called with the seconds from a frame's arrival at the server to its answer, and from its making.
        random: gives its jitter.
    """

    def __init__(
        self, number: int, server: Server, link: Link, tell: Callable[[float, float], None], random: Random
    ) -> None:
        self._server, self._link, self._tell = server, link, tell
        self._random = random
        self._peer = f"ipv4:10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}:1"
        self._settings = UplinkSettings()
        self._frames = Frames()
        self._retries: Retries | None = None
        self._changed = asyncio.Event()
        self._contact: asyncio.Task[None] | None = None
        self.online = True
        self.given_up = self.put_off = self.refused = 0

    @property
    def waiting(self) -> int:
        """Frames that are not answered."""
        return len(self._frames.made_at)

    def add(self, frames: int) -> None:
        """Make frames that need the cloud."""
        now = asyncio.get_running_loop().time()
        for _ in range(frames):
            self._frames.made_at[f"{next(_IDS):032x}"] = now
        self._changed.set()
        self._wake()

    def set_online(self, online: bool) -> None:
        """The way opens or closes."""
        self.online = online
        if online:
            self._wake()
        elif self._contact is not None:
            self._contact.cancel()

    def _wake(self) -> None:
        if self.online and self.waiting and (self._contact is None or self._contact.done()):
            self._contact = asyncio.ensure_future(self._uplink())

    async def _uplink(self) -> None:
        loop, settings = asyncio.get_running_loop(), self._settings
        self._retries = self._retries or Retries(cast(Spool, self._frames), settings, loop.time)
        backoff_s = settings.backoff_s
        while self.waiting:
            await asyncio.sleep(self._link.connect_s)
            answered = False
            if self._server.is_up:
                before = self.waiting
                if await self._stream(self._retries):
                    continue
                answered = self.waiting < before
            backoff_s = settings.backoff_s if answered else backoff_s
            await asyncio.sleep(backoff_s * self._random.uniform(0.75, 1.25))
            backoff_s = min(2 * backoff_s, settings.max_backoff_s)

    async def _stream(self, retries: Retries) -> bool:
        """One connection; True: it was idle, False: it was refused or broken."""
        call = Call(self._peer, max(1, UNREAD_BYTES // len(self._link.frame)))
        serving = self._server.open(call)
        serving.add_done_callback(lambda task: self._changed.set())
        sent: dict[str, float] = {}
        reading = asyncio.ensure_future(self._read(call, sent, retries))
        retries.opened()
        try:
            return await self._send(call, serving, sent, retries)
        finally:
            reading.cancel()
            if not serving.done():
                serving.cancel()
            with suppress(BaseException):
                await asyncio.gather(serving, reading, return_exceptions=True)
            if serving.done() and not serving.cancelled() and serving.exception() is not None:
                self.refused += 1

    async def _send(self, call: Call, serving: asyncio.Task[None], sent: dict[str, float], retries: Retries) -> bool:
        loop, settings = asyncio.get_running_loop(), self._settings
        while not serving.done():
            self._changed.clear()
            if (pause_s := retries.pause_s) > 0:
                if pause_s > settings.idle_s and not sent:
                    await asyncio.sleep(pause_s)
                    return True
                await self._await_change(pause_s)
                continue
            rests = retries.rests()
            window = 1 if retries.probing else settings.window
            leaving = next((one for one in self._frames.made_at if one not in sent and one not in rests), None)
            if leaving is None or len(sent) >= window:
                wait_s = min(settings.idle_s, min(rests.values(), default=settings.idle_s) + 1e-3)
                if not await self._await_change(wait_s) and not sent and not rests:
                    return True
                continue
            sent[leaving] = loop.time()
            await asyncio.sleep(self._link.frame_s)
            sent[leaving] = loop.time()
            putting = asyncio.ensure_future(
                call.requests.put(wire.ClassifyRequest(frame_id=leaving, image=self._link.frame))
            )
            await asyncio.wait((putting, serving), return_when=asyncio.FIRST_COMPLETED)
            if not putting.done():
                putting.cancel()
        return False

    async def _await_change(self, timeout_s: float) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._changed.wait()
                return True
        return False

    async def _read(self, call: Call, sent: dict[str, float], retries: Retries) -> None:
        loop = asyncio.get_running_loop()
        while True:
            reply = await call.replies.get()
            frame_id, now = reply.frame_id, loop.time()
            arrived_at = sent.pop(frame_id)
            if reply.HasField("classification"):
                self._tell(now - arrived_at, now - self._frames.made_at[frame_id])
                retries.answered(frame_id)
                self._frames.drop(frame_id)
            else:
                self.put_off += 1
                retries.hold_all()
                if retries.failed(frame_id, reply.failure.message, Cause.BUSY) is not None:
                    self.given_up += 1
                    self._frames.drop(frame_id)
            self._changed.set()


async def hostile(server: Server, frame: bytes, streams: int = 16, frames: int = 32) -> None:
    """One device that sends on many streams as fast as it is read, and again at once what is refused; never ends."""

    async def one() -> None:
        while True:
            call: Any = Call("ipv4:192.0.2.1:1", max(1, UNREAD_BYTES // len(frame)))
            serving = server.open(call)
            under_way = asyncio.Semaphore(frames)

            async def read(call: Any = call, under_way: asyncio.Semaphore = under_way) -> None:
                while True:
                    await call.replies.get()
                    under_way.release()

            reading = asyncio.ensure_future(read())
            try:
                while not serving.done():
                    await under_way.acquire()
                    await asyncio.sleep(8 * len(frame) / 100e6)
                    await call.requests.put(wire.ClassifyRequest(frame_id=f"{next(_IDS):032x}", image=frame))
            finally:
                reading.cancel()
                serving.cancel()
                with suppress(BaseException):
                    await asyncio.gather(serving, reading, return_exceptions=True)
            await asyncio.sleep(1.0)

    async with asyncio.TaskGroup() as group:
        for _ in range(streams):
            group.create_task(one())
