"""The way to the cloud: one long-lived bidirectional gRPC stream, run by a thread of its own.

The uplink takes frames from the spool, most valuable first, sends those that the budgets pay for, and hands each reply
to its handler. Its bytes pass a `Relay`, which charges the ledger *before* they leave. A frame leaves the spool only
after its answer is on disk, so that a crash at any moment means a frame sent twice (the server knows its id), never a
frame lost. Being offline is not an error: the state says so, and the next try comes by itself, after a wait that
doubles.
"""

from __future__ import annotations

import asyncio
import logging
import random
import threading
import time
from collections.abc import Awaitable, Callable, Set
from typing import Any, Protocol

import grpc

from edge_sdk.budget.ledger import Ledger
from edge_sdk.budget.limits import Resource
from edge_sdk.config import UplinkSettings, check_address
from edge_sdk.errors import ConfigError
from edge_sdk.link.relay import Relay
from edge_sdk.security.credentials import Denied, Security, explain_failure, open_channel
from edge_sdk.store.spool import Spool, SpoolItem
from edge_sdk.types import LinkState
from edge_sdk.wire import offload_pb2 as wire
from edge_sdk.wire import offload_pb2_grpc as wire_grpc
from edge_sdk.wire.cost import CONNECTION_BYTES, frame_bytes

_log = logging.getLogger(__name__)

_RETRYABLE = frozenset({wire.Failure.OVERLOADED, wire.Failure.DRAINING, wire.Failure.INTERNAL, wire.Failure.UNKNOWN})


# A thin link carries frames, not probes: dead connections show as missing replies, so neither keepalives nor bandwidth
# probes are sent, and retries are this module's own, each of them charged.
_CHANNEL_OPTIONS = [
    ("grpc.enable_retries", 0),
    ("grpc.http2.bdp_probe", 0),
    ("grpc.max_receive_message_length", 1 << 20),
]
_FLUSH_RETRY_S = 5.0
_PRICE_CHECK_S = 5.0
_LOOK_AT_MOST = 8
_SAVING = "the frames that wait are not worth the budget at present"


class ReplyHandler(Protocol):
    """What the pipeline does with replies; called on the uplink's thread."""

    def answered(self, item: SpoolItem, reply: wire.ClassifyReply) -> None:
        """The big model's word on a frame."""

    def refused(self, item: SpoolItem, failure: wire.Failure) -> None:
        """The server will never answer this frame."""

    def flush(self) -> bool:
        """True when everything handed over so far is on disk."""

    def acked(self) -> None:
        """Answered frames have left the spool."""


class _Reconnect(Exception):
    """The session is over; the next one starts after a wait."""


class Uplink:
    """Sends what waits in the spool, within the ledger's budgets.

    Args:
        target: the server, `host:port`.
        spool: the frames that wait.
        ledger: charged before anything leaves.
        labels: the little model's labels; a server that does not know them all is not used (`LinkState.MISMATCH`).
        handler: gets the replies.
        settings: time-outs, waits, window.
        security: certificates and token; None: a token from the environment alone, and no encryption.
        worth: whether a frame is worth its price now; None: every frame is.
        joules_per_byte: energy charged with each byte.

    Raises:
        ConfigError: `target` is not an address, or `security` does not do for it.
    """

    def __init__(
        self,
        target: str,
        spool: Spool,
        ledger: Ledger,
        labels: tuple[str, ...],
        handler: ReplyHandler,
        settings: UplinkSettings | None = None,
        security: Security | None = None,
        *,
        worth: Callable[[SpoolItem], bool] | None = None,
        joules_per_byte: float = 0.0,
    ) -> None:
        self.target = check_address(target)
        self.state = LinkState.CONNECTING
        self.message = ""
        self.server_labels: tuple[str, ...] = ()
        self._spool = spool
        self._ledger = ledger
        self._labels = labels
        self._handler = handler
        self._settings = settings or UplinkSettings()
        self._security = security or Security()
        self._security.check(self.target)
        self._worth = worth or (lambda item: True)
        self._joules_per_byte = joules_per_byte
        self._paid: set[str] = set()
        self._closing = False
        self._loop = asyncio.new_event_loop()
        self._work = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="edge-sdk uplink", daemon=True)

    def start(self) -> None:
        """Start the thread; returns at once."""
        self._spool.add_listener(self._wake)
        self._thread.start()

    def close(self, grace_s: float = 2.0) -> None:
        """End the stream. Frames on their way get `grace_s` seconds to be answered; the rest stay in the spool."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._request_close, grace_s)
            self._thread.join()
        self.state = LinkState.OFF

    def _wake(self) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._work.set)

    def _request_close(self, grace_s: float) -> None:
        self._closing = True
        self._work.set()
        self._loop.call_later(grace_s, self._main.cancel)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._main = self._loop.create_task(self._serve())
        try:
            self._loop.run_until_complete(self._main)
        except asyncio.CancelledError:
            pass
        except Exception:
            _log.exception("the uplink ended; frames stay in the spool")
            self._set(LinkState.OFFLINE, "the uplink ended with an internal error (see the log)")
        finally:
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.close()

    def _set(self, state: LinkState, message: str = "") -> None:
        if (state, message) != (self.state, self.message):
            _log.log(
                logging.INFO if state in (LinkState.ONLINE, LinkState.CONNECTING) else logging.WARNING,
                "link to %s: %s%s",
                self.target,
                state.value,
                f": {message}" if message else "",
            )
        self.state, self.message = state, message

    async def _serve(self) -> None:
        settings = self._settings
        self._relay = Relay(
            self.target,
            self._ledger,
            interface=settings.interface,
            timeout_s=settings.reply_timeout_s,
            joules_per_byte=self._joules_per_byte,
        )
        async with self._relay:
            await self._send_all()

    async def _send_all(self) -> None:
        backoff_s = self._settings.backoff_s
        while not self._closing:
            first = self._choose()
            if first is None:
                await self._wait_for_work(_PRICE_CHECK_S if len(self._spool) else None)
                continue
            self._relay.fulfil()
            opening = CONNECTION_BYTES + self._security.handshake_bytes
            if not await self._affordable(opening + frame_bytes(_request(first).ByteSize())):
                continue
            session = _Session(self)
            try:
                await session.run()
                backoff_s = self._settings.backoff_s
            except (grpc.aio.AioRpcError, _Reconnect, TimeoutError, OSError, ConfigError, Denied) as error:
                if session.answered:
                    backoff_s = self._settings.backoff_s
                if (denial := _denial(error)) is not None:
                    self._set(LinkState.DENIED, denial)
                    backoff_s = self._settings.max_backoff_s  # a person must act
                elif not isinstance(error, _Reconnect):
                    self._set(LinkState.OFFLINE, _explain(error))
                await self._pause(backoff_s * random.uniform(0.75, 1.25))
                backoff_s = min(backoff_s * 2, self._settings.max_backoff_s)

    def _choose(self, busy: Set[str] = frozenset()) -> SpoolItem | None:
        """The first frame in the spool's order that is worth its price; a few are looked at, since frames age."""
        passed_over: set[str] = set()
        while len(passed_over) < _LOOK_AT_MOST and (item := self._spool.next(busy | passed_over)) is not None:
            if self._worth(item):
                return item
            passed_over.add(item.frame_id)
        if passed_over and not busy:
            self._set(LinkState.SAVING, _SAVING)
        return None

    async def _wait_for_work(self, timeout_s: float | None) -> None:
        """Return when the spool has changed, the uplink closes, or the time is over."""
        try:
            await asyncio.wait_for(self._work.wait(), timeout_s)
            self._work.clear()
        except TimeoutError:
            pass

    async def _pause(self, seconds: float) -> None:
        """Wait whatever the spool does, but not beyond `close`."""
        end = time.monotonic() + seconds
        while not self._closing and (left_s := end - time.monotonic()) > 0:
            await self._wait_for_work(left_s)

    async def _affordable(self, n_bytes: int) -> bool:
        """True when the upload budget pays for `n_bytes` now; otherwise say so, wait a while, and return False."""
        self._relay.reconcile()
        wait_s = self._relay.room_for(n_bytes)
        if wait_s <= 0:
            return True
        await self._hold("upload", wait_s)
        return False

    async def _hold(self, what: str, wait_s: float) -> None:
        never = f"one frame costs more than the whole {what} budget"
        self._set(
            LinkState.BUDGET, never if wait_s == float("inf") else f"the {what} budget has room again in {wait_s:.0f} s"
        )
        await self._pause(min(wait_s, 60.0))


class _Session:
    """One connection, from the first byte to the last."""

    def __init__(self, uplink: Uplink) -> None:
        self._up = uplink
        self._in_flight: dict[str, tuple[SpoolItem, float]] = {}
        self._done: list[str] = []
        self._changed = asyncio.Event()
        self._resume_at = 0.0
        self._overloads = 0
        self.answered = 0

    async def run(self) -> None:
        up = self._up
        up._set(LinkState.CONNECTING)
        async with open_channel(up._relay.address, up.target, up._security, _CHANNEL_OPTIONS) as channel:
            try:
                await asyncio.wait_for(_connected(channel), up._settings.connect_timeout_s)
            except TimeoutError:
                raise ConnectionError(f"no cloud server answers at {up.target}") from None
            except ConnectionError:
                if up._relay.unreachable:
                    raise ConnectionError(f"no cloud server answers at {up.target}") from None
                raise explain_failure(await _last_error(channel), up.target, up._security) from None
            stub, token = wire_grpc.OffloadStub(channel), up._security.metadata()
            description = await stub.Describe(
                wire.DescribeRequest(), timeout=up._settings.reply_timeout_s, metadata=token
            )
            if missing := [label for label in up._labels if label not in set(description.labels)]:
                up._set(LinkState.MISMATCH, _mismatch(up.target, description, missing))
                await up._pause(up._settings.max_backoff_s)
                raise _Reconnect
            up._ledger.big_macs = description.macs
            up.server_labels = tuple(description.labels)
            up._set(LinkState.ONLINE)
            await self._exchange(stub.Stream(metadata=token), description)

    async def _exchange(self, stream: Any, description: wire.Description) -> None:
        tasks = [asyncio.ensure_future(part) for part in self._parts(stream, description)]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            stream.cancel()
            await self._settle()

    def _parts(self, stream: Any, description: wire.Description) -> tuple[Awaitable[None], ...]:
        return self._send(stream, description.macs), self._receive(stream), self._watch(), self._ack()

    async def _send(self, stream: Any, macs: int) -> None:
        """Frames out, while there are any; returns when the stream has been idle long enough or the uplink closes."""
        up = self._up
        while True:
            if up._closing:
                if not self._in_flight:
                    return
                await self._wait(None)
                continue
            pause_s = self._resume_at - time.monotonic()
            item = None
            if pause_s <= 0 and len(self._in_flight) < up._settings.window:
                item = up._choose({*self._in_flight, *self._done})
            if item is None:
                busy = bool(self._in_flight) or pause_s > 0
                if not await self._wait(pause_s if pause_s > 0 else None if busy else up._settings.idle_s) and not busy:
                    return
                continue
            request = _request(item)
            paid = await self._pay(item, frame_bytes(request.ByteSize()), macs)
            if paid is None:
                return
            if not paid:
                continue
            up._set(LinkState.ONLINE)
            self._in_flight[item.frame_id] = item, time.monotonic() + up._settings.reply_timeout_s
            try:
                await stream.write(request)
            except asyncio.InvalidStateError:  # the call has ended meanwhile
                raise ConnectionError("the server ended the stream") from None

    async def _pay(self, item: SpoolItem, price: int, macs: int) -> bool | None:
        """Whether the budgets pay for one frame now; None: the wait is not worth an open connection."""
        up = self._up
        if up._relay.room_for(price) > up._settings.idle_s and not self._in_flight:
            return None
        if not await up._affordable(price):
            return False
        if item.frame_id not in up._paid:
            for resource, amount in ((Resource.FRAMES, 1), (Resource.CLOUD, macs)):
                if wait_s := up._ledger.wait_s(**{resource: amount}):
                    await up._hold(resource, wait_s)
                    return False
            if not up._ledger.try_spend(frames=1, cloud=macs):
                return False
            up._paid.add(item.frame_id)
        up._relay.promise(item.frame_id, price)
        return True

    async def _receive(self, stream: Any) -> None:
        while True:
            reply = await stream.read()
            if reply is grpc.aio.EOF:
                raise _Reconnect
            entry = self._in_flight.pop(reply.frame_id, None)
            self._up._relay.fulfil(reply.frame_id)
            self._changed.set()
            if entry is None:
                continue
            item = entry[0]
            if reply.WhichOneof("result") == "classification":
                self.answered += 1
                self._overloads = 0
                self._up._handler.answered(item, reply)
                self._done.append(item.frame_id)
            elif reply.failure.code in _RETRYABLE:
                self._overloads += 1
                wait_s = min(self._up._settings.backoff_s * 2**self._overloads, self._up._settings.max_backoff_s)
                self._resume_at = time.monotonic() + wait_s
                _log.info("%s: %s; next frame in %.1f s", self._up.target, reply.failure.message, wait_s)
            else:
                self._up._handler.refused(item, reply.failure)
                self._done.append(item.frame_id)

    async def _watch(self) -> None:
        """Raise when a frame has waited too long for its reply: the connection is dead, whatever TCP believes."""
        while True:
            oldest = min((deadline for _, deadline in self._in_flight.values()), default=None)
            if oldest is None:
                await asyncio.sleep(self._up._settings.reply_timeout_s / 4)
            elif (left_s := oldest - time.monotonic()) > 0:
                await asyncio.sleep(left_s)
            else:
                raise TimeoutError(f"no reply from {self._up.target} within {self._up._settings.reply_timeout_s:g} s")

    async def _ack(self) -> None:
        """Take answered frames out of the spool, in groups, once their answers are on disk."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            self._up._work.set()
            await self._settle()

    async def _settle(self) -> None:
        if done := list(self._done):
            if not await asyncio.to_thread(self._up._handler.flush):  # a full disk: the answers stay in memory
                self._up._loop.call_later(_FLUSH_RETRY_S, self._changed.set)
                return
            self._up._spool.ack(*done)
            self._up._paid.difference_update(done)
            del self._done[: len(done)]
            self._up._handler.acked()

    async def _wait(self, timeout_s: float | None) -> bool:
        """Wait until something changes; False: the time is over."""
        before = time.monotonic()
        await self._up._wait_for_work(timeout_s)
        return timeout_s is None or time.monotonic() - before < timeout_s


async def _connected(channel: Any) -> None:
    """Return when the channel is ready; raise at the first failure, since the next try is the uplink's to decide."""
    state = channel.get_state(try_to_connect=True)
    while state is not grpc.ChannelConnectivity.READY:
        if state in (grpc.ChannelConnectivity.TRANSIENT_FAILURE, grpc.ChannelConnectivity.SHUTDOWN):
            raise ConnectionError
        await channel.wait_for_state_change(state)
        state = channel.get_state(try_to_connect=True)


async def _last_error(channel: Any) -> str:
    """Why a channel failed to connect: a call on it ends at once with the reason."""
    try:
        await wire_grpc.OffloadStub(channel).Describe(wire.DescribeRequest(), timeout=1.0)
    except grpc.aio.AioRpcError as error:
        return error.details() or ""
    return ""


def _request(item: SpoolItem) -> wire.ClassifyRequest:
    return wire.ClassifyRequest(frame_id=item.frame_id, image=item.image, probabilities=item.probabilities.tolist())


def _denial(error: BaseException) -> str | None:
    """What a person must do about `error`, or None where waiting may help."""
    if isinstance(error, grpc.aio.AioRpcError):
        denied = error.code() in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED)
        return error.details() or error.code().name if denied else None
    return str(error) if isinstance(error, (ConfigError, Denied)) else None


def _explain(error: BaseException) -> str:
    if isinstance(error, grpc.aio.AioRpcError):
        return f"{error.code().name}: {error.details()}"
    return str(error) or type(error).__name__


def _mismatch(target: str, description: wire.Description, missing: list[str]) -> str:
    return (
        f"the server at {target} ({description.model}) answers with {len(description.labels)} labels, but not with "
        f"{', '.join(missing[:8])}{' ...' if len(missing) > 8 else ''}: start cloud-server with a --label-map that "
        f"leads to the bundle's labels, or use the bundle that fits this server"
    )
