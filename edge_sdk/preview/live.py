"""The camera's latest picture, for those who look at the moment.

The frame loop hands each frame over; nothing is done with one unless somebody looks, and then with at most `fps` in a
second. Encoding is the viewers' work, once for all of them. One who is slow misses pictures, and holds up nobody.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from edge_sdk.durable.clock import steady_s
from edge_sdk.preview.drawing import drawn, notice
from edge_sdk.preview.settings import PreviewSettings
from edge_sdk.types import Answer, Frame

_log = logging.getLogger(__name__)

HIDDEN = "Hidden: what is never stored is not shown"
WAITING = "Waiting for a picture"
_AGAIN_S = 10.0
_FIRST_S = 1.5


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """A frame as it may be shown.

    Attributes:
        number: rises with each.
        frame: None: it may not be shown.
        answer: the device's; None: the gate let it pass.
        size: width and height of the frame, pixels.
    """

    number: int
    frame: Frame | None
    answer: Answer | None
    size: tuple[int, int]

    @property
    def text(self) -> str:
        """What is drawn on it."""
        return "" if self.answer is None else words(self.answer)


class Live:
    """The latest frame. The loop's thread calls `over` and `answered`, viewers' threads the rest.

    Args:
        may_show: the frame as it may be shown, asked for on the loop's thread; None: not at all.
        settings: how large and how often.
        needs_answer: what the little model has not looked at is passed over, since nothing says what it may show.
        on_drawn: called with each picture that was drawn of an answered frame.
        clock: steady seconds.
    """

    def __init__(
        self,
        may_show: Callable[[Frame], Frame | None],
        settings: PreviewSettings,
        *,
        needs_answer: Callable[[], bool] = lambda: False,
        on_drawn: Callable[[Answer, bytes], None] = lambda answer, jpeg: None,
        clock: Callable[[], float] = steady_s,
    ) -> None:
        self._may_show, self._needs_answer, self._on_drawn = may_show, needs_answer, on_drawn
        self._side, self._every_s, self._most = settings.side, 1 / settings.fps, settings.viewers
        self._clock = clock
        self._answered: tuple[Frame, Answer] | None = None
        self._due_s = -float("inf")
        self._changed = threading.Condition()
        self._drawing = threading.Lock()
        self._drawn: tuple[int, bytes] = (0, b"")
        self._shot: Shot | None = None
        self._number = 0
        self._closed = False
        self._last_s: float | None = None
        self._viewers: list[str] = []
        self.answer: Answer | None = None

    @property
    def viewers(self) -> int:
        """How many look."""
        return len(self._viewers)

    def is_seen_by(self, name: str) -> bool:
        """Whether a viewer of this name looks."""
        return name in self._viewers

    @property
    def silent_s(self) -> float | None:
        """Seconds since the camera's latest frame; None: there was none."""
        last_s = self._last_s
        return None if last_s is None else self._clock() - last_s

    def over(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """The same frames; each is shown once the loop is done with it."""
        for frame in frames:
            self._answered = None
            yield frame
            self._last_s = self._clock()
            self._take(frame)

    def answered(self, frame: Frame, answer: Answer) -> None:
        """Take the device's word on a frame."""
        self.answer = answer
        self._answered = frame, answer

    @contextmanager
    def viewing(self, name: str = "") -> Iterator[Iterator[bytes] | None]:
        """JPEGs for one viewer, the latest first, the same again after 10 s without another; None: too many look.

        They end with `close`.

        Args:
            name: as in `is_seen_by`.
        """
        with self._changed:
            is_one = len(self._viewers) < self._most and not self._closed
            if is_one:
                self._viewers.append(name)
        if not is_one:
            yield None
            return
        try:
            yield self._each()
        finally:
            with self._changed:
                self._viewers.remove(name)
                if not self._viewers:  # a full picture may be large
                    self._shot, self._drawn = None, (0, b"")

    def close(self) -> None:
        """Let all viewers go."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _take(self, frame: Frame) -> None:
        now_s = self._clock()
        if not self._viewers or now_s < self._due_s:
            return
        answer: Answer | None = None
        if self._answered is not None and self._answered[0].frame_id == frame.frame_id:
            frame, answer = self._answered
        if answer is None and self._needs_answer():
            return
        self._due_s = now_s + self._every_s
        try:
            shown = self._may_show(frame)
            if shown is not None:
                shown.image  # noqa: B018 - read out of the camera while it is there
        except Exception:
            _log.exception("the preview goes without a frame; the device goes on")
            return
        with self._changed:
            self._number += 1
            self._shot = Shot(self._number, shown, answer, frame.size)
            self._changed.notify_all()

    def _each(self) -> Iterator[bytes]:
        number, wait_s = 0, _FIRST_S
        while not self._closed:
            shot = self._next(number, wait_s)
            wait_s = _AGAIN_S
            if self._closed:
                return
            if shot is None:
                yield notice(WAITING, (self._side, self._side * 3 // 4))
            else:
                number = shot.number
                yield self._jpeg(shot)

    def _next(self, number: int, wait_s: float) -> Shot | None:
        """The first shot after `number`; after `wait_s` the one that there is."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._closed or (self._shot is not None and self._shot.number > number), wait_s
            )
            return self._shot

    def _jpeg(self, shot: Shot) -> bytes:
        with self._drawing:
            if self._drawn[0] >= shot.number:
                return self._drawn[1]
            if shot.frame is None:
                width, height = shot.size
                jpeg = notice(HIDDEN, (self._side, max(1, round(self._side * height / width))))
            else:
                jpeg = drawn(shot.frame.image, shot.frame.regions, shot.text, self._side)
                if shot.answer is not None:
                    self._on_drawn(shot.answer, jpeg)
            self._drawn = shot.number, jpeg
            return jpeg


def words(answer: Answer) -> str:
    """An answer in a few words: "deer 97%"."""
    return "no answer: compute spent" if answer.label is None else f"{answer.label} {answer.confidence:.0%}"
