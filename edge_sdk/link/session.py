"""One connection, from its first frame to its end."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

from edge_sdk.config import UplinkSettings
from edge_sdk.link.dispatch import LONGEST_HOLD_S, SAVING, Choice, Dispatch
from edge_sdk.link.retries import Cause
from edge_sdk.link.transport import Connection, Refusal, Reply, StreamFailed
from edge_sdk.link.wakeup import Wakeup
from edge_sdk.security.credentials import Denied
from edge_sdk.store.spool import SpoolItem
from edge_sdk.terminal.line import one_line
from edge_sdk.types import LinkState

_log = logging.getLogger(__name__)


class ReplyHandler(Protocol):
    """Takes the replies; called on the uplink's thread.

    A call returns when the frame has left the spool. Where the answer could not be written, the frame stays and is sent
    again later.
    """

    def answered(self, item: SpoolItem, reply: Reply) -> None:
        """Take the big model's answer on a frame."""

    def refused(self, item: SpoolItem, message: str) -> None:
        """Take the server's final refusal of a frame; `message` is its reason."""

    def gave_up(self, item: SpoolItem, message: str) -> None:
        """Take a frame that was sent as often as frames are, without an answer; `message` has the latest failure."""


class Session:
    """Sends frames over a connection and hands the replies on, until it is idle, broken, or the uplink ends.

    Args:
        connection: an open one.
        dispatch: which frame is next, and who pays.
        handler: gets the replies.
        settings: window, time-outs, waits.
        wakeup: wakes it when the spool has changed.
        tell: called with the link's state and a message: online, a full budget, frames not worth their price.
        leaves: whether the connection is to be left for another server, asked before a frame is sent; None: there is
            no other.

    Attributes:
        answered: replies with a classification so far.
    """

    def __init__(
        self,
        connection: Connection,
        dispatch: Dispatch,
        handler: ReplyHandler,
        settings: UplinkSettings,
        wakeup: Wakeup,
        tell: Callable[[LinkState, str], None],
        leaves: Callable[[SpoolItem], bool] | None = None,
    ) -> None:
        self._connection = connection
        self._dispatch = dispatch
        self._handler = handler
        self._settings = settings
        self._wakeup = wakeup
        self._tell = tell
        self._leaves = leaves
        self._leaving = self._put_off = False
        self._in_flight: dict[str, tuple[SpoolItem, float]] = {}
        self._retries = dispatch.retries
        self.answered = 0

    async def run(self) -> bool:
        """Exchange frames for replies.

        Returns:
            True where the server has ended the stream, or is about to end; False where there was nothing to send for
            `settings.idle_s`, a budget holds frames back for longer than that, another server is to be tried, or the
            uplink ends.

        Raises:
            ConnectionError: the connection has ended.
            TimeoutError: a frame's reply did not come in time.
        """
        parts: tuple[Awaitable[None], ...] = self._send(), self._receive(), self._watch()
        tasks = [asyncio.ensure_future(part) for part in parts]
        self._retries.opened()
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if tasks[0] in done and tasks[0].exception() is not None:  # why the stream ended is the receiver's to know
                await asyncio.wait([tasks[1]], timeout=1.0)
            for task in (tasks[1], tasks[0], tasks[2]):
                if task.done():
                    task.result()
            ended = tasks[1].done()
        except Denied:
            raise
        except (TimeoutError, OSError) as error:
            self._all_failed(str(error), Cause.FRAME if isinstance(error, StreamFailed) else Cause.CONNECTION)
            raise
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if ended:
            self._all_failed("the server ended the stream", Cause.CONNECTION)
        return ended or self._put_off

    async def _send(self) -> None:
        while True:
            if self._wakeup.closing or self._leaving:
                if not self._in_flight:
                    return
                await self._wakeup.wait(None)
                continue
            pause_s = self._retries.pause_s
            choice = self._dispatch.choose(self._in_flight.keys()) if pause_s <= 0 and self._has_room() else Choice()
            item = choice.item
            if item is None or (self._in_flight and self._retries.tried(item.frame_id)):
                if not await self._wait_for_work(choice, pause_s):
                    return
                continue
            if self._leaves is not None and self._leaves(item):
                self._leaving = True
                continue
            hold = self._dispatch.pay(item, self._connection.server.macs_of(item))
            if hold is not None:
                long = hold.wait_s > self._settings.idle_s
                if long and not self._in_flight:
                    return  # the wait is not worth an open connection
                self._tell(LinkState.BUDGET, hold.sentence())
                # A long hold ends the session once the last reply is in, so replies must cut this wait short.
                wait = self._wakeup.wait if long else self._wakeup.pause
                await wait(min(hold.wait_s, LONGEST_HOLD_S))
                continue
            self._tell(LinkState.ONLINE, "")
            self._in_flight[item.frame_id] = item, time.monotonic() + self._settings.reply_timeout_s
            await self._connection.send(item)

    def _has_room(self) -> bool:
        """Whether another frame may be on its way: one that has failed before travels alone."""
        if any(self._retries.tried(frame_id) for frame_id in self._in_flight):
            return False
        return len(self._in_flight) < (1 if self._retries.probing else self._settings.window)

    async def _wait_for_work(self, choice: Choice, pause_s: float) -> bool:
        """Wait until a frame may leave, after a look that found none; False: there is none for `settings.idle_s`."""
        rest_s = choice.rest_s
        if self._in_flight or pause_s > 0:
            waits = [pause_s] if pause_s > 0 else [] if rest_s is None else [rest_s]
            await self._wakeup.wait(min(waits, default=None))
            return True
        if self._dispatch.waiting:
            if choice.dear:
                self._tell(LinkState.SAVING, SAVING)
            else:
                self._tell(LinkState.RETRYING, self._retries.sentence())
        idle_s = self._settings.idle_s
        if rest_s is not None and rest_s < idle_s:
            await self._wakeup.wait(rest_s)
            return True
        return await self._wakeup.wait(idle_s)

    async def _receive(self) -> None:
        while (word := await self._connection.receive()) is not None:
            entry = self._in_flight.pop(word.frame_id, None)
            self._dispatch.replied(word.frame_id)
            if entry is not None:
                self._take(entry[0], word)
            self._wakeup.wake()

    def _take(self, item: SpoolItem, word: Reply | Refusal) -> None:
        if isinstance(word, Reply) and word.flaw:
            word = Refusal(word.frame_id, word.flaw, retryable=True)
        if isinstance(word, Refusal) and word.leaving and word.retryable and self._leaves is not None:
            self._leaving = self._put_off = True
            self._failed(item, word.message, Cause.BUSY)
            return
        if isinstance(word, Refusal) and word.retryable:
            wait_s = self._retries.hold_all()
            _log.info("the server put a frame off (%s); the next one leaves in %.1f s", word.message, wait_s)
            self._failed(item, word.message, Cause.BUSY if word.busy else Cause.FRAME)
            return
        self._retries.answered(item.frame_id)
        if isinstance(word, Reply):
            self.answered += 1
            self._handler.answered(item, word)
        else:
            self._handler.refused(item, word.message)
        self._dispatch.settled(item.frame_id)

    def _failed(self, item: SpoolItem, message: str, cause: Cause) -> None:
        verdict = self._retries.failed(item.frame_id, message, cause)
        if verdict is not None:
            _log.warning("frame %s is given up: %s", item.frame_id, verdict)
            self._handler.gave_up(item, verdict)
            self._dispatch.settled(item.frame_id)

    def _all_failed(self, message: str, cause: Cause) -> None:
        """The connection has ended: no frame that is on its way will be answered."""
        for item, _ in self._in_flight.values():
            self._failed(item, one_line(message), cause)
        self._in_flight.clear()

    async def _watch(self) -> None:
        """Raise TimeoutError when a frame has waited `reply_timeout_s` for its reply."""
        while True:
            oldest_s = min((deadline_s for _, deadline_s in self._in_flight.values()), default=None)
            if oldest_s is None:
                await asyncio.sleep(self._settings.reply_timeout_s / 4)
            elif (left_s := oldest_s - time.monotonic()) > 0:
                await asyncio.sleep(left_s)
            else:
                raise TimeoutError(f"no reply within {self._settings.reply_timeout_s:g} s")
