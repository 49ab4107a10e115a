"""A camera that sleeps: it is opened when it is time and something may be there, and closed again."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Generator, Iterator
from datetime import UTC, datetime
from math import inf

from edge_sdk.camera.base import Camera, CameraBase, OnFault
from edge_sdk.camera.live import Backoff
from edge_sdk.durable.clock import Clock, SystemClock
from edge_sdk.duty.energy import Spent
from edge_sdk.duty.schedule import Schedule
from edge_sdk.duty.supply import Supply, read_supply
from edge_sdk.duty.trigger import Trigger
from edge_sdk.errors import CameraError, ConfigError
from edge_sdk.terminal.line import literal
from edge_sdk.types import Frame

_log = logging.getLogger(__name__)
_LONGEST_SLEEP_S = 600.0  # the clock may be set meanwhile, and the battery charged
_RECOVERED = 0.05
_GAUGE_S = 60.0

Pause = Callable[[threading.Event, float | None], object]
"""Waits until the event is set, or so many seconds (None: for ever) have passed."""


class DutyCamera(CameraBase):
    """Frames of another camera, while it is time to look.

    Without a trigger the camera is open whenever the schedule says so. With one it sleeps within that time too: it is
    opened when the trigger fires, and closed `look_s` after the last sign of it. Triggers outside the schedule, or with
    an empty battery, wake nobody.

    Args:
        opener: opens the camera; called at each wake. A `CameraError` is a fault; the next wake tries again.
        schedule: when to look; None: always.
        trigger: what wakes it; closed with the camera. None: the schedule alone.
        look_s: seconds that the camera stays open after the latest sign of the trigger.
        supply: what the device lives on.
        min_charge: share of the battery below which nothing is looked at, until it is 5% above; a supply that does not
            know its charge counts as full.
        on_fault: called where the camera cannot be opened; the faults of the camera itself are the opener's.
        backoff: the waits between tries without a trigger.
        clock: the machine's clocks.
        pause: how to wait.

    Raises:
        ConfigError: `look_s` or `min_charge` cannot be used.
    """

    def __init__(
        self,
        opener: Callable[[], Camera],
        *,
        schedule: Schedule | None = None,
        trigger: Trigger | None = None,
        look_s: float = 20.0,
        supply: Supply | None = None,
        min_charge: float = 0.0,
        on_fault: OnFault | None = None,
        backoff: Backoff | None = None,
        clock: Clock | None = None,
        pause: Pause = threading.Event.wait,
    ) -> None:
        super().__init__(on_fault)
        if not 0 < look_s < inf:
            raise ConfigError(f"expected look_s as seconds above 0; got {look_s!r}")
        if not 0 <= min_charge < 1:
            raise ConfigError(f"expected min_charge from 0 to below 1; got {min_charge!r}")
        self._opener, self._schedule, self._trigger = opener, schedule or Schedule(), trigger
        self._look_s, self._supply, self._min_charge = look_s, supply, min_charge
        self._backoff = backoff or Backoff()
        self._clock = clock or SystemClock()
        self._pause = pause
        self._news = threading.Event()  # the trigger fired, or the camera was closed
        self._fired_s = -inf
        self._camera: Camera | None = None
        self._is_low = False
        self._next_gauge_s = -inf
        never = datetime.min.replace(tzinfo=UTC)
        self._stretch: tuple[datetime, datetime, bool | None] = never, never, None  # begin, end, whether it is time
        self._since_s = self._clock.steady_s()
        self._spent = Spent()

    @property
    def spent(self) -> Spent:
        """Seconds asleep and awake so far, up to the latest change between the two."""
        return self._spent

    @property
    def is_awake(self) -> bool:
        """Whether the camera is open."""
        return self._camera is not None

    @property
    def asleep(self) -> str:
        """Until when the camera is closed, in words; "" where it is open, or being opened."""
        if self._camera is not None:
            return ""
        if self._is_low:
            return "until the battery has recovered"
        _, end, is_on = self._stretch
        if is_on is False:
            return f"at least until {end.astimezone():%Y-%m-%d %H:%M}"
        return "" if self._trigger is None else "until something moves"

    def __iter__(self) -> Iterator[Frame]:
        if self._trigger is not None:
            self._trigger.start(self._fire)
        waits = self._backoff.waits()
        while not self._stopped.is_set():
            pause_s = self._sleep_s()
            if pause_s != 0:
                self._sleep(pause_s)
                continue
            try:
                camera = self._opener()
            except CameraError as error:
                self._report("camera", error)
                self._wait(next(waits))
                continue
            waits = self._backoff.waits()
            self._camera = camera
            ended = True
            try:
                if not self._stopped.is_set():
                    ended = yield from self._look(camera)
            finally:
                camera.close()
                self._camera = None
                self._count(awake=True)
            if ended and self._trigger is None:
                return
            if ended:  # it gives no more for now, whatever the trigger says
                self._wait(next(waits))

    def close(self) -> None:
        """End the iteration, and free the camera and the trigger."""
        super().close()
        self._news.set()
        if self._trigger is not None:
            self._trigger.close()
        if (camera := self._camera) is not None:
            camera.close()

    def _look(self, camera: Camera) -> Generator[Frame, None, bool]:
        """Its frames while it is time; whether it ended by itself."""
        for frame in camera:
            yield frame
            if self._stopped.is_set() or self._sleep_s() != 0:
                return False
        return True

    def _sleep_s(self) -> float | None:
        """Seconds to sleep before there may be something to look at; 0: it is time; None: until the trigger fires."""
        if self._is_empty():
            return _LONGEST_SLEEP_S
        if (off_s := self._off_s()) > 0:
            return min(max(1.0, off_s), _LONGEST_SLEEP_S)
        if self._trigger is None or self._trigger.is_active:
            return 0
        return 0 if self._clock.steady_s() < self._fired_s + self._look_s else None

    def _off_s(self) -> float:
        """Seconds until the schedule is on; 0: it is."""
        now = datetime.fromtimestamp(self._clock.wall_s(), UTC)
        begin, end, is_on = self._stretch
        if not begin <= now < end:
            was_on = is_on
            begin, end, is_on = self._stretch = now, self._schedule.holds_until(now), self._schedule.is_on(now)
            if is_on != was_on and self._schedule.windows:
                _log.info(
                    "%s at least until %s", "looking" if is_on else "asleep", f"{end.astimezone():%Y-%m-%d %H:%M}"
                )
        return 0.0 if is_on else (end - now).total_seconds()

    def _is_empty(self) -> bool:
        if self._supply is None or self._min_charge == 0 or self._clock.steady_s() < self._next_gauge_s:
            return self._is_low
        self._next_gauge_s = self._clock.steady_s() + _GAUGE_S
        charge = read_supply(self._supply).charge
        enough = min(1.0, self._min_charge + (_RECOVERED if self._is_low else 0.0))
        is_low = charge is not None and charge < enough
        if is_low != self._is_low:
            said = "is low: nothing is looked at until it recovers" if is_low else "has recovered"
            _log.warning("%s", literal(f"the battery ({'?' if charge is None else f'{charge:.0%}'}) {said}"))
        self._is_low = is_low
        return is_low

    def _sleep(self, seconds: float | None) -> None:
        self._news.clear()
        if not self._stopped.is_set() and self._sleep_s() != 0:  # it may have fired before the clearing
            self._pause(self._news, seconds)
        self._count(awake=False)

    def _wait(self, seconds: float) -> None:
        """Whatever the trigger says."""
        self._pause(self._stopped, seconds)
        self._count(awake=False)

    def _count(self, *, awake: bool) -> None:
        now_s = self._clock.steady_s()
        passed_s, self._since_s = now_s - self._since_s, now_s
        self._spent += Spent(awake_s=passed_s, wakes=1) if awake else Spent(asleep_s=passed_s)

    def _fire(self) -> None:
        self._fired_s = self._clock.steady_s()
        self._news.set()
