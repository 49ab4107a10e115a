"""One channel's thread: takes what waits from the outbox, delivers it, and waits longer after each failure."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable

from edge_sdk.alerts.channel import Channel, Fate, Outcome, Status
from edge_sdk.alerts.outbox import Outbox
from edge_sdk.durable.clock import Clock
from edge_sdk.errors import StorageError
from edge_sdk.terminal.line import one_line

_log = logging.getLogger(__name__)

_FIRST_WAIT_S = 1.0
_LONGEST_WAIT_S = 900.0
_LONGEST_ASKED_S = 3_600.0
_IDLE_S = 60.0


class Sender:
    """Delivers what waits for one channel, an alert at a time, on a thread of its own.

    After a failure it waits for a random time below a bound that doubles each time ("full jitter": Brooker, Exponential
    Backoff And Jitter, AWS Architecture Blog, 2015), or as long as the other side asks.

    Args:
        channel: opened.
        outbox: what waits.
        clock: steady seconds.
        chance: a random number in [0, 1).
    """

    def __init__(
        self, channel: Channel, outbox: Outbox, *, clock: Clock, chance: Callable[[], float] = random.random
    ) -> None:
        self._channel, self._outbox, self._clock, self._chance = channel, outbox, clock, chance
        self._failures = 0
        self._done: int | None = None
        self._not_before_s = 0.0
        self._status: Status | None = None
        self._shown: Status | None = None
        self._shown_s = 0.0
        self._news = threading.Event()
        self._ending = False
        self.said = ""
        self._thread = threading.Thread(target=self._run, name=f"alerts {channel.name}", daemon=True)

    @property
    def name(self) -> str:
        """The channel's."""
        return self._channel.name

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wake(self) -> None:
        """Something waits."""
        self._news.set()

    def show(self, status: Status) -> None:
        """Hand the channel a new status, if it is one."""
        if status != self._status:
            self._status = status
            self._news.set()

    def end(self) -> None:
        """Deliver what can be delivered now, then end."""
        self._ending = True
        self._news.set()

    def join(self, wait_s: float) -> bool:
        """Wait for the end; False: it has not come."""
        self._thread.join(wait_s)
        return not self._thread.is_alive()

    def close(self) -> None:
        """End the channel; a delivery that waits is broken off."""
        self._channel.close()

    def step(self) -> float:
        """Show what is new, and try to deliver one alert.

        Returns:
            Seconds until the next step is worth taking; 0: now.
        """
        now_s = self._clock.steady_s()
        if (status := self._status) is not None and (status is not self._shown or now_s - self._shown_s >= _IDLE_S):
            self._shown, self._shown_s = status, now_s
            self._channel.show(status)
        if now_s < self._not_before_s:
            return self._not_before_s - now_s
        waiting = self._outbox.next(self.name)
        if waiting is None:
            return _IDLE_S
        if waiting.number == self._done:  # the disk did not take that
            self._outbox.done(waiting.number)
            return 0.0
        outcome = self._channel.deliver(waiting.alert)
        if outcome.fate is Fate.LATER:
            wait_s = self._put_off(outcome)
            self._outbox.failed(waiting.number)
            return wait_s
        self._done, self._failures = waiting.number, 0
        self._outbox.done(waiting.number)
        self.said = one_line(outcome.said)
        if outcome.fate is Fate.REFUSED:
            _log.warning("%s refused an alert for good: %s", self.name, self.said)
        return 0.0

    def _put_off(self, outcome: Outcome) -> float:
        self.said = one_line(outcome.said)
        if self._failures == 0:
            _log.warning("%s: alerts wait: %s", self.name, self.said)
        bound_s = min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2.0 ** min(self._failures, 20))
        self._failures += 1
        wait_s = max(0.1, bound_s * self._chance(), min(outcome.wait_s or 0.0, _LONGEST_ASKED_S))
        self._not_before_s = self._clock.steady_s() + wait_s
        return wait_s

    def _run(self) -> None:
        while True:
            self._news.clear()
            try:
                wait_s = self.step()
            except StorageError as error:
                self.said, wait_s = str(error), _IDLE_S
            except Exception:
                _log.exception("the alerts' channel %s failed; it is tried again", self.name)
                wait_s = _IDLE_S
            if wait_s > 0:
                if self._ending:
                    return
                self._news.wait(wait_s)
