"""One connection, from its first frame to its end."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

from edge_sdk.config import UplinkSettings
from edge_sdk.link.dispatch import LONGEST_HOLD_S, SAVING, Dispatch
from edge_sdk.link.transport import Connection, Refusal, Reply
from edge_sdk.link.wakeup import Wakeup
from edge_sdk.store.spool import SpoolItem
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


class Session:
    """Sends frames over a connection and hands the replies on, until it is idle, broken, or the uplink ends.

    Args:
        connection: an open one.
        dispatch: which frame is next, and who pays.
        handler: gets the replies.
        settings: window, time-outs, waits.
        wakeup: wakes it when the spool has changed.
        tell: called with the link's state and a message: online, a full budget, frames not worth their price.

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
    ) -> None:
        self._connection = connection
        self._dispatch = dispatch
        self._handler = handler
        self._settings = settings
        self._wakeup = wakeup
        self._tell = tell
        self._in_flight: dict[str, tuple[SpoolItem, float]] = {}
        self._resume_at_s = 0.0
        self._failures = 0  # retryable ones in a row
        self.answered = 0

    async def run(self) -> bool:
        """Exchange frames for replies.

        Returns:
            True where the server has ended the stream; False where there was nothing to send for `settings.idle_s`, a
            budget holds frames back for longer than that, or the uplink ends.

        Raises:
            ConnectionError: the connection has ended.
            TimeoutError: a frame's reply did not come in time.
        """
        parts: tuple[Awaitable[None], ...] = self._send(), self._receive(), self._watch()
        tasks = [asyncio.ensure_future(part) for part in parts]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
            return tasks[1] in done
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _send(self) -> None:
        while True:
            if self._wakeup.closing:
                if not self._in_flight:
                    return
                await self._wakeup.wait(None)
                continue
            pause_s = self._resume_at_s - time.monotonic()
            item = None
            if pause_s <= 0 and len(self._in_flight) < self._settings.window:
                item = self._dispatch.choose(self._in_flight.keys())
            if item is None:
                busy = bool(self._in_flight) or pause_s > 0
                if not busy and self._dispatch.waiting:
                    self._tell(LinkState.SAVING, SAVING)
                limit_s = pause_s if pause_s > 0 else None if busy else self._settings.idle_s
                if not await self._wakeup.wait(limit_s) and not busy:
                    return
                continue
            hold = self._dispatch.pay(item, self._connection.server.macs)
            if hold is not None:
                if hold.wait_s > self._settings.idle_s and not self._in_flight:
                    return  # the wait is not worth an open connection
                self._tell(LinkState.BUDGET, hold.sentence())
                await self._wakeup.pause(min(hold.wait_s, LONGEST_HOLD_S))
                continue
            self._tell(LinkState.ONLINE, "")
            self._in_flight[item.frame_id] = item, time.monotonic() + self._settings.reply_timeout_s
            await self._connection.send(item)

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
        if isinstance(word, Reply):
            self.answered += 1
            self._failures = 0
            self._handler.answered(item, word)
        elif word.retryable:
            self._failures += 1
            wait_s = min(self._settings.backoff_s * 2.0**self._failures, self._settings.max_backoff_s)
            self._resume_at_s = time.monotonic() + wait_s
            _log.info("the server put a frame off (%s); the next one leaves in %.1f s", word.message, wait_s)
            return
        else:
            self._handler.refused(item, word.message)
        self._dispatch.settled(item.frame_id)

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
