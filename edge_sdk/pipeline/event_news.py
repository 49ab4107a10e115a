"""Events on their way to the application: a queue, a callback on a thread of its own, and who waits for a last word."""

from __future__ import annotations

import logging
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from contextlib import suppress

from edge_sdk.pipeline.news import News
from edge_sdk.types import Event

_log = logging.getLogger(__name__)

_MOST_FINAL = 1_000
_LONGEST_S = 1e6  # that a lock can wait


class EventNews(News[Event]):
    """The queue of events that were decided or revised. Threads and asyncio tasks may share it.

    Args:
        on_event: called with each of them by `tell`.

    Attributes:
        on_news: called when `tell` has something to tell.
    """

    def __init__(self, on_event: Callable[[Event], None] | None = None) -> None:
        super().__init__()
        self._on_event = on_event
        self.on_news: Callable[[], None] = lambda: None
        self._untold: deque[Event] = deque()
        self._final: OrderedDict[str, Event] = OrderedDict()

    def put(self, event: Event) -> None:
        """Hand over an event."""
        with self._news:
            self._queue.append(event)
            if event.stands:
                self._final[event.event_id] = event
                if len(self._final) > _MOST_FINAL:
                    self._final.popitem(last=False)
            self._wake()
        if self._on_event is not None:
            self._untold.append(event)
            self.on_news()

    def tell(self) -> None:
        """Call `on_event` with what has come, holding no lock: it may use the classifier."""
        while self._untold and self._on_event is not None:
            event = self._untold.popleft()
            try:
                self._on_event(event)
            except Exception:
                _log.exception("on_event failed on %s; the event is in the journal", event.event_id)

    def last_word(self, event_id: str) -> Event | None:
        """The last word on an event, or the device's on an audited one; None while neither is said.

        Of the latest thousand.
        """
        with self._news:
            return self._final.get(event_id)

    def wait(self, event_id: str, wait_s: float) -> Event | None:
        """As `last_word`, or None where it does not come in time."""
        with self._news:
            self._news.wait_for(lambda: self._closed or event_id in self._final, min(wait_s, _LONGEST_S))
            return self._final.get(event_id)

    async def wait_async(self, event_id: str, wait_s: float) -> Event | None:
        """As `wait`, for asyncio."""
        import asyncio

        end = time.monotonic() + wait_s
        with self._listening() as news:
            while True:
                news.clear()
                found = self.last_word(event_id)
                left_s = end - time.monotonic()
                if found is not None or self._closed or left_s <= 0:
                    return found
                with suppress(TimeoutError):
                    await asyncio.wait_for(news.wait(), min(left_s, _LONGEST_S))
