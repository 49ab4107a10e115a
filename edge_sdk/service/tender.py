"""The thread that looks after a running device: signals, the supervisor, how the device is.

The frame loop has the main thread. This one tells the supervisor that the loop lives, only while it does: one that
hangs on a frame is restarted. It takes no lock that a frame holds.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from edge_sdk.camera.base import Camera
from edge_sdk.errors import EdgeError
from edge_sdk.service.pulse import Pulse
from edge_sdk.service.signals import Signals
from edge_sdk.systemd.supervisor import Supervisor
from edge_sdk.terminal.line import one_line
from edge_sdk.types import Event

if TYPE_CHECKING:
    from edge_sdk.alerts.alerts import Alerts
    from edge_sdk.pipeline.classifier import EdgeClassifier

_log = logging.getLogger(__name__)

EVERY_S = 5.0
_END_S = 5.0


class Tender:
    """Looks after a device while its block runs.

    Args:
        edge: the classifier.
        camera: closed where the device is asked to end.
        pulse: of the loop.
        supervisor: whom to tell.
        signals: what comes from outside.
        reload: reads the config file again.
        alerts: told where the camera is away.
        every_s: seconds between two looks, less where the supervisor wants it.
    """

    def __init__(
        self,
        edge: EdgeClassifier,
        camera: Camera,
        pulse: Pulse,
        supervisor: Supervisor,
        signals: Signals,
        *,
        reload: Callable[[], None],
        alerts: Alerts | None = None,
        every_s: float = EVERY_S,
    ) -> None:
        self._edge, self._camera, self._pulse, self._signals = edge, camera, pulse, signals
        self._supervisor, self._reload, self._alerts = supervisor, reload, alerts
        self._every_s = every_s if supervisor.watchdog_s is None else min(every_s, supervisor.watchdog_s / 4)
        self._was_away = False
        self._status = ""
        self._told_hang = False
        self._done = False
        self.asked_to_end = False
        self._thread = threading.Thread(target=self._run, name="service", daemon=True)

    @property
    def status(self) -> str:
        """One line on how the device is."""
        usage, edge = self._edge.usage, self._edge
        doing = "watching" if self._pulse.frames else "waiting for the camera"
        if away := self._pulse.away:
            doing = f"waiting for the camera: {one_line(away, 120)}"
        spent = max((one.share for one in usage.budgets), default=0.0)
        budget = f"; budgets {spent:.0%} spent" if usage.budgets else ""
        return f"{doing}; {usage.frames} frames, {edge.waiting} wait, link {edge.link}{budget}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._done = True
        self._signals.wake()
        self._thread.join(_END_S)
        self._supervisor.stopping("writing everything down")

    def _run(self) -> None:
        while not self._done:
            for number in self._signals.wait(self._every_s):
                self._take(number)
            try:
                self._look()
            except EdgeError as error:
                _log.error("%s", error)
            except Exception:
                _log.exception("looking after the device failed; it goes on")

    def _take(self, number: int) -> None:
        if number == signal.SIGHUP and not sys.stderr.isatty():
            self._reload()
            return
        if self.asked_to_end:  # a second signal: at once
            os._exit(128 + number)
        self.asked_to_end = True
        _log.info("asked to end (%s)", signal.Signals(number).name)
        self._camera.close()

    def _look(self) -> None:
        if self._pulse.is_well:
            self._supervisor.alive()
            self._told_hang = False
        elif not self._told_hang:
            self._told_hang = True
            _log.error("the loop has been on one frame for %.0f s: it hangs", self._pulse.busy_s)
        if bool(away := self._pulse.away) != self._was_away:
            self._tell_camera(away)
        if (status := self.status) != self._status:
            self._status = status
            self._supervisor.status(status)

    def _tell_camera(self, away: str) -> None:
        """The camera is away, or gives frames again."""
        self._was_away = bool(away)
        if not away:
            _log.info("the camera gives frames again")
        if self._alerts is not None:
            if away:
                self._alerts.fault("camera", away)
            else:
                self._alerts.mended("camera")


def tell_event(event: Event) -> None:
    """Write an event into the log."""
    _log.info("%s", event_line(event))


def event_line(event: Event) -> str:
    """What the log says of an event."""
    length_s = (event.ended_at - event.began_at).total_seconds()
    later = f", revision {event.revision}" if event.revision > 1 else "" if event.final else ", the cloud is asked"
    frames = "1 frame" if event.frames == 1 else f"{event.frames} frames in {length_s:.0f} s"
    return (
        f"{event.began_at:%Y-%m-%d %H:%M:%S%z} {event.label} {event.confidence:.2f} "
        f"({frames}, {event.origin}: {event.reason}{later})"
    )
