"""Events: the frames of one visit, put together.

Someone who asks what came by wants one answer a visit, not one a frame. An event's answer is the mean of the little
model's probabilities over the few frames that look least empty: at the ends of a visit the subject is half out of the
picture, and such frames only blur the rest. Errors within a visit go together, so many frames of one visit are worth
little more than two or three.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from heapq import nlargest

import numpy as np
from numpy.typing import NDArray

from edge_sdk.camera.files import camera_of
from edge_sdk.errors import ConfigError
from edge_sdk.model.nothing import emptiness_by, says_nothing
from edge_sdk.types import Frame, Prediction

_NO_VISIT = frozenset({"learning", "heartbeat", "scene"})
"""Triggers of frames that no movement brought."""

_RECORDED_S = 60.0
"""Seconds without a frame that end an event of recorded frames: they come at the pace of who reads them."""


@dataclass(frozen=True, slots=True)
class EventSettings:
    """What makes one visit of several frames, and whether it is answered as a whole.

    Attributes:
        gap_s: seconds without a frame that end an event.
        longest_s: seconds after which an event ends though frames go on coming, as on a busy road.
        best: how many frames answer for the event, those that look least empty; None: what the bundle's policy says,
            else 3.
        answer_per: "event": an event exits or offloads as a whole, and one of its frames travels for it; "frame": each
            frame by itself, and its event sums them up. None: "event" for the frames that the motion gate admits
            (`EdgeClassifier.watch`), where the bundle was calibrated for it (`Policy.events`); a frame that a program
            hands to `classify`, or that comes without a gate, is answered by itself, at once.
        within_s: seconds after its first frame by which an event is decided, though it may go on; frames that come
            later change its length alone. None: it is decided when it ends.

    Raises:
        ConfigError: a value cannot be used.
    """

    gap_s: float = 10.0
    longest_s: float = 120.0
    best: int | None = None
    answer_per: str | None = None
    within_s: float | None = None

    def __post_init__(self) -> None:
        for name in ("gap_s", "longest_s", "within_s"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise ConfigError(f"expected EventSettings.{name} as seconds above 0; got {value!r}")
        if self.best is not None and (isinstance(self.best, bool) or not isinstance(self.best, int) or self.best < 1):
            raise ConfigError(f"expected EventSettings.best as a whole number of at least 1; got {self.best!r}")
        if self.answer_per not in (None, "frame", "event"):
            raise ConfigError(f'expected EventSettings.answer_per as "frame" or "event"; got {self.answer_per!r}')

    def as_a_whole(self, *, gated: bool, calibrated: bool) -> bool:
        """Whether an event is answered as a whole.

        Args:
            gated: the motion gate admits its frames.
            calibrated: the bundle has a rule of events.
        """
        return gated and calibrated if self.answer_per is None else self.answer_per == "event"


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """What the little model said of one frame.

    Attributes:
        emptiness: the probability that nothing is there; without a class for it, how unsure the model is.
        number: of the frame within its event, from 1.
        frame_id: the frame's id.
        probabilities: `float64 (C,)`.
    """

    emptiness: float
    number: int
    frame_id: str
    probabilities: NDArray[np.float64]


@dataclass(slots=True)
class Visit:
    """An event whose frames are being put together.

    Attributes:
        event_id: the id of its first frame.
        camera: where its frames came from.
        began_at: when its first frame was taken.
        last_at: when its latest frame was taken.
        began_s: when its first frame came, on the steady clock.
        last_s: when its latest frame came.
        live: its frames came as they were taken.
        frames: how many it has.
        best: what was said of the frames that answer for it, the least empty first.
        seen: by class, its confidences in the frames of which it was the most probable one, the `len(best)` highest.
        is_decided: its answer stands, and later frames do not change it.
        as_a_whole: it exits or offloads as a whole; False: its frames do by themselves, and it sums them up.
    """

    event_id: str
    camera: str
    began_at: datetime
    last_at: datetime
    began_s: float
    last_s: float
    live: bool
    frames: int = 0
    best: list[Look] = field(default_factory=list)
    seen: dict[int, list[float]] = field(default_factory=dict)
    is_decided: bool = False
    as_a_whole: bool = False

    def mean(self, temperature: float = 1.0) -> NDArray[np.float32]:
        """The answer: the mean of the best frames' probabilities, `float32 (C,)`.

        Args:
            temperature: the mean is raised to 1 / `temperature` and made to sum to 1.
        """
        mean = np.mean([look.probabilities for look in self.best], axis=0)
        if temperature != 1.0:
            mean = mean ** (1 / temperature)
            mean /= mean.sum()
        return np.asarray(mean, np.float32)


class Events:
    """Puts frames together to events. Not thread-safe: whoever classifies frames one at a time calls it.

    Time is the frames' own where there is a next frame. Where none comes, an event ends by the steady clock: after
    `gap_s`, or after a minute where its frames are recorded ones.

    Args:
        labels: of the little model.
        settings: what makes one visit.
        best: how many frames answer for an event, where the settings do not say.
        calibrated: the bundle has a rule of events.

    Attributes:
        due_s: second of the steady clock at which the next event ends, or is to be decided; infinity: none is open.
    """

    def __init__(
        self, labels: Sequence[str], settings: EventSettings, best: int = 3, *, calibrated: bool = False
    ) -> None:
        self._emptiness = emptiness_by(labels)
        self._something = np.array([not says_nothing(label) for label in labels])
        self._settings = settings
        self._best = settings.best or best
        self._calibrated = calibrated
        self._open: dict[tuple[str, bool], Visit] = {}  # by camera, and whether it is answered as a whole
        self.due_s = math.inf

    def __len__(self) -> int:
        """Events that are open."""
        return len(self._open)

    @staticmethod
    def are_joined(trigger: str) -> bool:
        """Whether frames that the motion gate admits for this reason belong to events."""
        return trigger not in _NO_VISIT

    def as_a_whole(self, trigger: str) -> bool:
        """Whether the event of a frame is answered as a whole.

        Args:
            trigger: why the motion gate admits it; "": no gate has seen it.
        """
        return self._settings.as_a_whole(gated=trigger != "", calibrated=self._calibrated)

    def join(
        self, frame: Frame, prediction: Prediction, now_s: float = 0.0, *, live: bool = False, trigger: str = ""
    ) -> Visit:
        """The event that a frame belongs to, with the frame in it. `over` is called with the frame before.

        Frames that are answered by themselves and frames that are not belong to different events.

        Args:
            frame: the frame.
            prediction: the little model's.
            now_s: the steady clock's time.
            live: the frame was taken just now.
            trigger: as in `as_a_whole`.
        """
        camera, at, as_a_whole = camera_of(frame.source), frame.captured_at, self.as_a_whole(trigger)
        visit = self._open.get((camera, as_a_whole))
        if visit is None:
            visit = Visit(frame.frame_id, camera, at, at, now_s, now_s, live, as_a_whole=as_a_whole)
            self._open[camera, as_a_whole] = visit
        visit.last_at, visit.last_s = max(visit.last_at, at), now_s
        visit.live = visit.live and live
        visit.frames += 1
        if not visit.is_decided:
            self._look(visit, frame.frame_id, prediction.probabilities)
        self._renew()
        return visit

    def over(self, frame: Frame) -> list[Visit]:
        """The events that a frame of their camera shows to be over; they are open no longer.

        Args:
            frame: any frame of the camera, also one in which nothing moves.
        """
        return self._take([visit for visit in self._of(frame) if not self._goes_on(visit, frame.captured_at)])

    def due(self, now_s: float) -> list[Visit]:
        """The events that are over by the steady clock; they are open no longer."""
        return self._take([visit for visit in self._open.values() if self._ends_s(visit) <= now_s])

    def late(self, now_s: float, frame: Frame | None = None) -> list[Visit]:
        """The events that go on and are to be decided (`within_s`), by the steady clock or by a frame's own time."""
        within_s = self._settings.within_s
        if within_s is None:
            return []
        found = [visit for visit in self._undecided() if visit.began_s + within_s <= now_s]
        if frame is not None:
            latest = frame.captured_at - timedelta(seconds=within_s)
            waiting = (visit for visit in self._of(frame) if not visit.is_decided and visit not in found)
            found += [visit for visit in waiting if visit.began_at <= latest]
        return found

    def end(self, cameras: Collection[str] | None = None) -> list[Visit]:
        """No more frames come of these cameras (None: of any): their events, which are open no longer."""
        return self._take([visit for visit in self._open.values() if cameras is None or visit.camera in cameras])

    def decided(self, visit: Visit) -> None:
        """The event's answer stands; it may go on."""
        visit.is_decided = True
        self._renew()

    def also(self, visit: Visit, top: int, confidence: float) -> list[tuple[int, float]]:
        """Other classes than `top` that were seen in at least as many frames as answer for an event.

        Args:
            visit: the event.
            top: the class that it is answered with.
            confidence: that a class must have in these frames.

        Returns:
            The classes with the mean of as many of their highest confidences, the highest first.
        """
        found = [
            (number, sum(highest) / len(highest))
            for number, highest in visit.seen.items()
            if number != top and len(highest) == self._best and min(highest) >= confidence
        ]
        return sorted(found, key=lambda one: -one[1])

    def _of(self, frame: Frame) -> list[Visit]:
        """The open events of a frame's camera."""
        camera = camera_of(frame.source)
        return [self._open[key] for key in ((camera, False), (camera, True)) if key in self._open]

    def _look(self, visit: Visit, frame_id: str, chances: NDArray[np.float32]) -> None:
        look = Look(self._emptiness(chances), visit.frames, frame_id, np.asarray(chances, np.float64))
        looks = [*visit.best, look]
        visit.best = sorted(looks, key=lambda look: (look.emptiness, look.number))[: self._best]
        if self._something.any():
            top = int(np.where(self._something, chances, -1.0).argmax())
            visit.seen[top] = nlargest(self._best, [*visit.seen.get(top, []), float(chances[top])])

    def _goes_on(self, visit: Visit, now: datetime) -> bool:
        since, gap = now - visit.last_at, timedelta(seconds=self._settings.gap_s)
        return -gap <= since <= gap and now - visit.began_at <= timedelta(seconds=self._settings.longest_s)

    def _ends_s(self, visit: Visit) -> float:
        gap_s = self._settings.gap_s
        return visit.last_s + (gap_s if visit.live else max(gap_s, _RECORDED_S))

    def _take(self, visits: list[Visit]) -> list[Visit]:
        for visit in visits:
            del self._open[visit.camera, visit.as_a_whole]
        if visits:
            self._renew()
        return visits

    def _renew(self) -> None:
        within_s = self._settings.within_s
        dues = [self._ends_s(visit) for visit in self._open.values()]
        if within_s is not None:
            dues += [visit.began_s + within_s for visit in self._undecided()]
        self.due_s = min(dues, default=math.inf)

    def _undecided(self) -> list[Visit]:
        """The live ones; of recorded frames their own time alone counts."""
        return [visit for visit in self._open.values() if visit.live and not visit.is_decided]
