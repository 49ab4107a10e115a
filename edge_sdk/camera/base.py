"""What every camera is: a context manager and an iterable of frames."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self

from edge_sdk.errors import ConfigError, EdgeError
from edge_sdk.terminal.line import literal
from edge_sdk.types import Frame

_log = logging.getLogger(__name__)


class Camera(Protocol):
    """A source of frames. Closing it, from any thread, ends the iteration; closing twice is allowed.

    `edge_sdk.testing.FakeCamera` is one for tests.
    """

    def __iter__(self) -> Iterator[Frame]: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

    def close(self) -> None:
        """Free the source and end the iteration."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something went wrong with one picture or for a while; the camera goes on.

    Attributes:
        source: the file or address it happened at.
        error: what happened: `ImageError` for one picture, `CameraError` for a connection or the rest of a video.
    """

    source: str
    error: EdgeError


OnFault = Callable[[Fault], None]


class CameraBase:
    """The part that all cameras share: `with`, the stop signal and the reporting of faults.

    Args:
        on_fault: called with every fault, on the thread it happens on; faults are logged as warnings in any case.
    """

    def __init__(self, on_fault: OnFault | None = None) -> None:
        self._stopped = threading.Event()
        self._on_fault = on_fault

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the iteration, from any thread."""
        self._stopped.set()

    @property
    def summary(self) -> str:
        """What the camera has to say at the end, on one line; "" for nothing."""
        return ""

    def _report(self, source: str, error: EdgeError) -> None:
        _log.warning("%s", literal(error))  # a file's name may be anything
        if self._on_fault is not None:
            self._on_fault(Fault(source, error))


class PacedCamera(CameraBase):
    """Hands on another camera's frames no faster than `fps`; loses none.

    Args:
        camera: the camera to slow down; closed with this one.
        fps: frames per second.
        clock: steady seconds.
    """

    def __init__(self, camera: Camera, fps: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._camera = camera
        self._interval_s = 1 / check_fps(fps)
        self._clock = clock

    def __iter__(self) -> Iterator[Frame]:
        due_s = self._clock()
        for frame in self._camera:
            if self._stopped.wait(max(0.0, due_s - self._clock())):
                return
            yield frame
            due_s = max(due_s + self._interval_s, self._clock())

    @property
    def summary(self) -> str:
        """What the camera behind has to say."""
        return str(getattr(self._camera, "summary", ""))

    def skip_done(self, done: Any) -> None:
        """Hand on to the camera behind what was done in earlier runs, if it can use that."""
        if (skip := getattr(self._camera, "skip_done", None)) is not None:
            skip(done)

    def close(self) -> None:
        """Close the camera behind."""
        super().close()
        self._camera.close()


def check_fps(fps: float) -> float:
    """Return `fps`, or raise `ConfigError` unless it is a positive number."""
    if isinstance(fps, bool) or not isinstance(fps, int | float) or not math.isfinite(fps) or fps <= 0:
        raise ConfigError(f"expected fps as a positive number of frames per second; got {fps!r}")
    return float(fps)
