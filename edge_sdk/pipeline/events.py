"""Events: the frames of one visit, answered once.

Someone who asks what came by wants one answer a visit, not one a frame. An event's answer is the mean of the little
model's probabilities over the few frames that look least empty: at the ends of a visit the subject is half out of the
picture, and such frames only blur the rest. Errors within a visit go together, so many frames of one visit are worth
little more than two or three.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from edge_sdk.camera.files import camera_of
from edge_sdk.errors import ConfigError
from edge_sdk.model.nothing import says_nothing
from edge_sdk.types import Event, Frame, Prediction

_NO_VISIT = frozenset({"learning", "heartbeat", "scene"})
"""Triggers of frames that no movement brought."""

_MOST_ENDED = 1000


@dataclass(frozen=True, slots=True)
class EventSettings:
    """What makes one visit of several frames.

    Attributes:
        gap_s: seconds without a frame that end an event.
        longest_s: seconds after which an event ends though frames go on coming, as on a busy road.
        best: how many frames answer for the event, those that look least empty.

    Raises:
        ConfigError: a value cannot be used.
    """

    gap_s: float = 10.0
    longest_s: float = 120.0
    best: int = 3

    def __post_init__(self) -> None:
        for name in ("gap_s", "longest_s"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ConfigError(f"expected EventSettings.{name} as seconds above 0; got {getattr(self, name)!r}")
        if isinstance(self.best, bool) or not isinstance(self.best, int) or self.best < 1:
            raise ConfigError(f"expected EventSettings.best as a whole number of at least 1; got {self.best!r}")


@dataclass(slots=True)
class _Open:
    """An event that may go on."""

    event_id: str
    camera: str
    began_at: datetime
    last_at: datetime
    frames: int = 0
    best: list[tuple[float, int, str, NDArray[np.float64]]] = field(default_factory=list)


class Events:
    """Puts frames together to events. Not thread-safe: whoever classifies frames one at a time calls it.

    Args:
        labels: of the little model.
        settings: what makes one visit.
    """

    def __init__(self, labels: Sequence[str], settings: EventSettings) -> None:
        self._labels = tuple(labels)
        self._empty = [number for number, label in enumerate(labels) if says_nothing(label)]
        self._settings = settings
        self._open: dict[str, _Open] = {}
        self._ended: deque[Event] = deque(maxlen=_MOST_ENDED)

    def join(self, frame: Frame, prediction: Prediction, trigger: str = "") -> str:
        """The id of the event that a frame belongs to: of its first frame; "" for a frame that no movement brought.

        An event of the same camera that this frame shows to be over ends first.
        """
        if trigger in _NO_VISIT:
            return ""
        camera = camera_of(frame.source)
        event = self._open.get(camera)
        if event is not None and not self._goes_on(event, frame.captured_at):
            self._end(event)
            event = None
        if event is None:
            event = _Open(frame.frame_id, camera, frame.captured_at, frame.captured_at)
            self._open[camera] = event
        event.last_at = max(event.last_at, frame.captured_at)
        event.frames += 1
        chances = np.asarray(prediction.probabilities, np.float64)
        event.best.append((self._emptiness(chances), event.frames, frame.frame_id, chances))
        event.best = sorted(event.best, key=lambda one: one[:2])[: self._settings.best]
        return event.event_id

    def end_all(self) -> None:
        """No more frames come: events that are open end."""
        for event in list(self._open.values()):
            self._end(event)

    def take(self) -> Iterator[Event]:
        """The events that have ended, each once; of more than a thousand that nobody took, the latest."""
        while self._ended:
            yield self._ended.popleft()

    def _goes_on(self, event: _Open, now: datetime) -> bool:
        since, gap = now - event.last_at, timedelta(seconds=self._settings.gap_s)
        return -gap <= since <= gap and now - event.began_at <= timedelta(seconds=self._settings.longest_s)

    def _emptiness(self, chances: NDArray[np.float64]) -> float:
        """The probability that nothing is there; without a class for it, how unsure the model is."""
        return float(chances[self._empty].sum() if self._empty else 1.0 - chances.max())

    def _end(self, event: _Open) -> None:
        del self._open[event.camera]
        mean = np.mean([chances for *_, chances in event.best], axis=0)
        top = int(mean.argmax())
        ended = Event(
            event_id=event.event_id,
            source=event.camera,
            began_at=event.began_at,
            ended_at=event.last_at,
            frames=event.frames,
            label=self._labels[top],
            confidence=float(mean[top]),
            best_frame_id=event.best[0][2],
        )
        self._ended.append(ended)
