"""Cameras that do not wait: a thread reads, the newest frame wins, a lost connection comes back by itself."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from edge_sdk.camera.base import CameraBase, OnFault, check_fps
from edge_sdk.camera.stillness import FROZEN_S, Stillness
from edge_sdk.errors import CameraError, ImageError
from edge_sdk.types import Exposure, Frame, Image

_log = logging.getLogger(__name__)
_JOIN_S = 5.0
_SILENT_S = 30.0
_MOST_BROKEN = 32  # pictures in a row


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """What a grabber reads.

    Attributes:
        image: `uint8 (H, W, 3)` RGB; or a picture that is read out of the camera when it is looked at.
        captured_at: when, with a time zone.
        measured: as `Frame.measured`.
    """

    image: Image | Exposure
    captured_at: datetime
    measured: Mapping[str, float] = field(default_factory=dict)

    @property
    def view(self) -> NDArray[np.uint8]:
        """As `Frame.view`."""
        return self.image if isinstance(self.image, np.ndarray) else self.image.small

    def frame(self, source: str) -> Frame:
        """As a frame of this source."""
        if isinstance(self.image, np.ndarray):
            return Frame(self.image, self.captured_at, source, measured=self.measured)
        return Frame.taken(self.image, self.captured_at, source, self.measured)


class Grabber(Protocol):
    """An open connection to a camera."""

    def read(self) -> Shot:
        """Wait for the next picture.

        Raises:
            CameraError: the connection is lost.
            ImageError: one picture is broken; the next may be good.
        """

    def close(self) -> None:
        """Free the camera."""


@runtime_checkable
class Interruptible(Protocol):
    """A grabber whose `read` can be ended from another thread."""

    def interrupt(self) -> None:
        """Let a `read` that waits raise `CameraError` soon."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait before connecting again.

    Attributes:
        first_s: before the first try.
        longest_s: the wait doubles up to this.
    """

    first_s: float = 0.5
    longest_s: float = 30.0

    def waits(self) -> Iterator[float]:
        """Seconds to wait before each try, without end."""
        wait_s = self.first_s
        while True:
            yield wait_s
            wait_s = min(2 * wait_s, self.longest_s)


class LiveCamera(CameraBase):
    """A camera with its own pace.

    A thread reads every picture into a mailbox with one place. An iteration takes the newest; what it was too slow for
    is counted in `dropped`. When the connection is lost, a fault is reported and the thread connects again, for as
    long as it takes; only the first connection must succeed, unless the camera is waited for.

    A picture that is the same to the last pixel for `frozen_s` is a fault too: it is an old picture with a new time.
    It is not handed out any more, the camera is opened again, and when the picture changes another fault gives the
    length.

    Args:
        source: the frames' source.
        connect: opens the camera; raises `CameraError` where it cannot.
        fps: most frames per second that are handed out; None: all that the consumer has time for.
        on_fault: called, on the reading thread, when the connection is lost and at each failed try to connect again.
        backoff: the waits between these tries.
        wait_for_camera: go on trying where the first connection fails.
        silent_s: a driver that gives neither picture nor error for this long is reported, on the consumer's thread.
        frozen_s: seconds after which a picture that stays the same is a fault; None: never.
        clock: steady seconds.

    Raises:
        CameraError: the first connection fails, and the camera is not waited for.
    """

    def __init__(
        self,
        source: str,
        connect: Callable[[], Grabber],
        *,
        fps: float | None = None,
        on_fault: OnFault | None = None,
        backoff: Backoff | None = None,
        wait_for_camera: bool = False,
        silent_s: float = _SILENT_S,
        frozen_s: float | None = FROZEN_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(on_fault)
        self._source = source
        self._connect = connect
        self._interval_s = 0.0 if fps is None else 1 / check_fps(fps)
        self._backoff = backoff or Backoff()
        self._clock = clock
        self._news = threading.Condition()
        self._shot: Shot | None = None
        self._failure: BaseException | None = None
        self._dropped = 0
        self._reconnects = 0
        self._heard = 0
        self._silent_s = silent_s
        self._stillness = Stillness(frozen_s, clock=clock)
        self._grabber = None if wait_for_camera else connect()
        self._thread = threading.Thread(target=self._run, name=f"camera {source}", daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """Pictures that came and went while the consumer was busy, or that `fps` held back."""
        return self._dropped

    @property
    def reconnects(self) -> int:
        """How often a lost connection came back."""
        return self._reconnects

    def __iter__(self) -> Iterator[Frame]:
        due_s = self._clock()
        while not self._stopped.wait(max(0.0, due_s - self._clock())):
            due_s = self._clock() + self._interval_s
            shot = self._take()
            if shot is None:
                return
            yield shot.frame(self._source)
            del shot  # what the consumer did not keep is given back before the next is waited for

    def close(self) -> None:
        """Free the camera and end the iteration. A driver that hangs is left behind after 5 s."""
        super().close()
        with self._news:
            self._news.notify_all()
        self._interrupt()
        if self._thread is not threading.current_thread():
            self._thread.join(_JOIN_S)

    def _take(self) -> Shot | None:
        def is_there() -> bool:
            return self._shot is not None or self._failure is not None or self._stopped.is_set()

        while True:
            heard = self._heard
            with self._news:
                if self._news.wait_for(is_there, self._silent_s):
                    if self._stopped.is_set():
                        return None
                    shot, self._shot = self._shot, None
                    if shot is None:
                        raise CameraError(f"reading from {self._source} failed: {self._failure}") from self._failure
                    return shot
            grabber = self._grabber
            if grabber is not None and self._heard == heard:  # else the reading thread tells why there is no picture
                error = CameraError(f"{self._source} has given neither picture nor error for {self._silent_s:g} s")
                self._report(self._source, error)
                self._interrupt(grabber)

    def _interrupt(self, grabber: Grabber | None = None) -> None:
        grabber = grabber or self._grabber
        if isinstance(grabber, Interruptible):
            grabber.interrupt()

    def _run(self) -> None:
        try:
            grabber = self._grabber or self._connect_at_last()
            while grabber is not None:
                try:
                    self._read_until_lost(grabber)
                finally:
                    self._grabber = None
                    grabber.close()
                grabber = self._reconnect()
        except Exception as error:  # a driver's own exception must reach the consumer, not end in a silent thread
            with self._news:
                self._failure = error
                self._news.notify_all()

    def _read_until_lost(self, grabber: Grabber) -> None:
        broken = 0
        while not self._stopped.is_set():
            try:
                shot = grabber.read()
            except ImageError as error:
                broken += 1
                if broken & (broken - 1) == 0:  # the 1st, 2nd, 4th, 8th, ...
                    self._report(self._source, error)
                if broken >= _MOST_BROKEN:
                    return
                continue
            except CameraError as error:
                if not self._stopped.is_set():
                    self._report(self._source, error)
                return
            broken = 0
            self._heard += 1
            if self._is_old(shot):
                if self._stillness.is_due():
                    self._report(self._source, self._frozen(self._stillness.length_s(), "has been the same for"))
                    return
                continue
            with self._news:
                self._dropped += self._shot is not None
                self._shot = shot
                self._news.notify_all()

    def _is_old(self, shot: Shot) -> bool:
        """Whether it is a picture of before that stands still; tells when one moves again."""
        pictures = self._stillness.pictures
        stood_s = self._stillness.look(shot.view)
        if stood_s is not None:
            self._report(self._source, self._frozen(stood_s, "moves again: it was the same for", pictures))
        return self._stillness.is_frozen

    def _frozen(self, length_s: float, what: str, pictures: int | None = None) -> CameraError:
        pictures = self._stillness.pictures if pictures is None else pictures
        return CameraError(
            f"the picture of {self._source} {what} {length_s:.0f} s ({pictures} times): such pictures are left out"
        )

    def _connect_at_last(self) -> Grabber | None:
        """The first connection of a camera that is waited for."""
        try:
            self._grabber = self._connect()
        except CameraError as error:
            self._report(self._source, error)
            return self._reconnect()
        return self._grabber

    def _reconnect(self) -> Grabber | None:
        for wait_s in self._backoff.waits():
            if self._stopped.wait(wait_s):
                break
            try:
                grabber = self._connect()
            except CameraError as error:
                self._report(self._source, error)
                continue
            self._reconnects += 1
            self._grabber = grabber
            _log.info("%s: connected again", self._source)
            return grabber
        return None
