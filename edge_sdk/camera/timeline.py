"""The times of a video's frames, from what its decoder reports, and the stretches in which frames are missing."""

from __future__ import annotations

import statistics
from collections import deque

_AGO_FRAMES = 32  # a decoder of many threads complains so many frames before the gap comes out of it
_FAR_S = 10.0


class Timeline:
    """Positions that only grow, whatever the container says.

    A gap in the times is a loss only where the decoder complained: cameras also leave out frames.

    Args:
        fps: the video's nominal frames per second.
        base_s: the time that the container gives the start of the video.
        length_s: the length of the video as the container tells it; None where it does not.
        reached_s: the position of the frame before the first, where decoding starts again behind a damage.
    """

    def __init__(
        self, fps: float, *, base_s: float = 0.0, length_s: float | None = None, reached_s: float | None = None
    ) -> None:
        self.step_s = 1 / fps
        """The usual time between two frames."""
        self.reached_s = reached_s
        """The position of the newest frame."""
        self._base_s = base_s
        self._length_s = length_s
        self._steps: deque[float] = deque(maxlen=15)
        self._since_complaint = 0 if reached_s is not None else _AGO_FRAMES + 1

    def add(self, reported_s: float, complained: bool) -> tuple[float, float]:
        """Count one frame.

        Args:
            reported_s: the container's time of the frame; 0 where it has none.
            complained: the decoder found damage since the frame before.

        Returns:
            The frame's position, seconds from the start of the video, and the seconds that are missing before it.
        """
        self._since_complaint = 0 if complained else self._since_complaint + 1
        position_s = reported_s - self._base_s
        if self.reached_s is None:
            self.reached_s = max(0.0, position_s)
            lost_s = self.reached_s if self._damaged and self.reached_s > self.step_s / 2 else 0.0
            return self.reached_s, lost_s
        if position_s <= self.reached_s or self._is_absurd(position_s):
            position_s = self.reached_s + self.step_s
        passed_s = position_s - self.reached_s
        lost_s = passed_s - self.step_s if self._damaged and passed_s > 1.5 * self.step_s else 0.0
        if not lost_s:
            self._steps.append(passed_s)
            self.step_s = statistics.median(self._steps)
        self.reached_s = position_s
        return position_s, lost_s

    def missing_at_end_s(self, *, exact: bool, complained: bool) -> float | None:
        """Seconds that are missing behind the last frame; None: some are, nobody knows how many.

        Args:
            exact: the length is that of the pictures, not of the longest track.
            complained: the decoder found damage behind the last frame.
        """
        if self._length_s is None:
            return None if complained else 0.0
        end_s = 0.0 if self.reached_s is None else self.reached_s + self.step_s
        missing_s = self._length_s - end_s
        slack_s = max(3 * self.step_s, 0.25)
        return missing_s if missing_s > slack_s and (exact or complained or self._damaged) else 0.0

    @property
    def _damaged(self) -> bool:
        return self._since_complaint <= _AGO_FRAMES

    def _is_absurd(self, position_s: float) -> bool:
        """A damaged time stamp: it lies far off, and behind the end."""
        far = self.reached_s is not None and position_s - self.reached_s > _FAR_S
        return far and self._length_s is not None and position_s > self._length_s + 1
