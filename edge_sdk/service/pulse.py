"""Where the frame loop is: waiting for the camera, which may take for ever, or at work on a frame, which may not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from edge_sdk.camera.base import Fault
from edge_sdk.durable.clock import steady_s
from edge_sdk.errors import CameraError
from edge_sdk.terminal.line import one_line
from edge_sdk.types import Frame


class Pulse:
    """Watches a loop over frames. Read from another thread.

    Args:
        most_s: seconds on one frame after which the loop hangs.
        clock: steady seconds.

    Attributes:
        frames: taken from the camera so far.
        away: why the camera gives no frames; "" where it does, or has not been heard of yet.
    """

    def __init__(self, most_s: float, *, clock: Callable[[], float] = steady_s) -> None:
        self._most_s, self._clock = most_s, clock
        self._since_s: float | None = None
        self.frames = 0
        self.away = ""

    def lost(self, fault: Fault) -> None:
        """Take a camera's fault; a broken picture is none of the camera's. Called on any thread."""
        if isinstance(fault.error, CameraError):
            self.away = one_line(fault.error)

    def over(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """The camera's frames; until the next one is asked for, the loop is at work on each."""
        for frame in frames:
            self.frames, self.away = self.frames + 1, ""
            self._since_s = self._clock()
            yield frame
            self._since_s = None

    @property
    def busy_s(self) -> float:
        """Seconds that the loop has been on one frame; 0 while it waits for the camera."""
        since_s = self._since_s
        return 0.0 if since_s is None else self._clock() - since_s

    @property
    def is_well(self) -> bool:
        """Whether the loop goes on."""
        return self.busy_s < self._most_s
