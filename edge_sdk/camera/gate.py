"""The gate before the little model: frames in which nothing moved are not worth a look."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_sdk.camera.burst_background import BurstBackground
from edge_sdk.camera.regions import find_regions
from edge_sdk.camera.small_picture import brightness_factor, shrink
from edge_sdk.errors import ConfigError
from edge_sdk.types import Frame, Region

_FIRST_NOISE = 4.0
_MOST_NOISE = 40.0
_WINDOW = 9
_CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.uint8)
# After a long gap the newest picture, with whatever stands in it, must not become the background all at once.
_LONGEST_STEP_S = 5.0
_BEFORE_S = 10.0
_MOST_BEFORE = 64


class GateReason(StrEnum):
    """Why the gate let a frame through, or not."""

    LEARNING = "learning"
    """The background is not known yet: the first frames, and those after a change of scene."""
    MOTION = "motion"
    """Something is there that is not the background."""
    BEFORE = "before motion"
    """Something was there a moment later: the frame was refused, kept, and let through after all."""
    HOLD = "hold"
    """Something was there a moment ago."""
    HEARTBEAT = "heartbeat"
    """Nothing moved for so long that it is time for a look."""
    SCENE = "scene"
    """Everything changed: the camera was moved, its infrared light switched, or something fills the view."""
    PHOTO = "photo"
    """It is a photo, not a picture of a video: the camera had its own reason to take it."""
    STILL = "still"
    """Nothing moved: refused."""


@dataclass(frozen=True, slots=True)
class MotionSettings:
    """How the gate decides.

    The defaults let nearly every arrival through; `docs/guides/cameras.md` has the measurements.

    Attributes:
        side: longer side of the small grey picture that is compared, in pixels.
        min_step: smallest difference from the background that counts, in grey levels of 255.
        noise_factor: a pixel counts when it differs by more than this times its usual difference.
        min_area: least part of the picture that must differ, within one place, in (0, 1).
        scene_area: a scene change when more than this part differs, in (0, 1].
        background_s: the background follows slow changes with this time constant.
        absorb_s: what stays becomes background with this time constant.
        learn_frames: number of frames that are let through before the background is trusted.
        hold_frames: number of frames after motion that are let through too.
        hold_s: seconds after motion for which frames are let through too, however many.
        before_frames: number of refused frames that are kept in memory: those of the 10 s before motion are let through
            with it, and belong to its event. Each occupies a full picture.
        heartbeat_s: longest time without a frame that is let through, seconds.
        photos: compare photos too (`Frame.still`), as for a series taken at fixed times. False: all are let through.
        bursts: find regions in the photos that are let through, by those of the camera's last triggers
            (`edge_sdk.camera.burst_background`).
    """

    side: int = 160
    min_step: float = 9.0
    noise_factor: float = 3.5
    min_area: float = 0.0008
    scene_area: float = 0.6
    background_s: float = 3.0
    absorb_s: float = 60.0
    learn_frames: int = 5
    hold_frames: int = 2
    hold_s: float = 0.0
    before_frames: int = 0
    heartbeat_s: float = 30.0
    photos: bool = False
    bursts: bool = True

    def __post_init__(self) -> None:
        for name in ("min_step", "noise_factor", "min_area", "background_s", "absorb_s", "heartbeat_s"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"expected MotionSettings.{name} above 0; got {getattr(self, name)!r}")
        for name in ("learn_frames", "hold_frames", "hold_s", "before_frames"):
            if not getattr(self, name) >= 0:
                raise ConfigError(f"expected MotionSettings.{name} of at least 0; got {getattr(self, name)!r}")
        if self.before_frames > _MOST_BEFORE:
            raise ConfigError(
                f"expected MotionSettings.before_frames of at most {_MOST_BEFORE}; got {self.before_frames!r}"
            )
        if self.min_area >= 1 or not 0 < self.scene_area <= 1 or self.side < 32:
            raise ConfigError(
                "expected MotionSettings with min_area below 1, scene_area above 0 and at most 1, side at least 32; "
                f"got {self.min_area}, {self.scene_area}, {self.side}"
            )


@dataclass(frozen=True, slots=True)
class GateResult:
    """What the gate saw in one frame.

    Attributes:
        admitted: whether the frame is let through.
        reason: why.
        changed: part of the picture that differs from the background, in [0, 1].
        regions: where something moved, the largest first, several for separate subjects. After motion (`HOLD`) those of
            the latest motion, marked as held, unless it is more than 5 s ago. Of a photo (`PHOTO`) where it differs
            from the camera's last photos. None for any other reason.
    """

    admitted: bool
    reason: GateReason
    changed: float
    regions: tuple[Region, ...] = ()


class MotionGate:
    """Admits frames in which something moved; a fixed camera is assumed.

    A small grey picture is compared with a background that follows the scene: a running average per pixel, and per
    pixel a running average of the usual difference, which sets the threshold there (so that sensor noise and waving
    leaves do not count; after the sigma-delta background of Manzanera and Richefeu, "A new motion detection algorithm
    based on Sigma-Delta background estimation", Pattern Recognition Letters 28, 2007, section 2). A common factor of
    brightness, the median over the picture, is taken out first, so that a cloud or the camera's exposure does not
    count. Single pixels are ignored. Time is the frames' own `captured_at`: a frame that is not later than the one
    before starts a new scene, and frames further apart than the heartbeat are all admitted.

    A frame with motion has regions, the boxes around what moved (`edge_sdk.camera.regions`).

    Photos (`Frame.still`) are let through: a camera that is triggered takes them for a reason, and a burst of three is
    no video. Where one differs from what the camera's last triggers showed, it has regions too.

    Not safe for use from several threads at once.

    Attributes:
        seen: number of frames so far.
        passed_over: number of those that were refused.
    """

    def __init__(self, settings: MotionSettings | None = None) -> None:
        self._settings = settings or MotionSettings()
        self._shape: tuple[int, ...] = ()
        self._seen = 0
        self._hold = 0
        self._held: tuple[Region, ...] = ()
        self._hold_until = datetime.min.replace(tzinfo=UTC)
        self._refused = deque[Frame](maxlen=self._settings.before_frames)
        self._before: datetime | None = None
        self._admitted_at = datetime.min.replace(tzinfo=UTC)
        self._last: GateResult | None = None
        self._bursts = BurstBackground(side=self._settings.side)
        self.seen = self.passed_over = 0

    @property
    def last(self) -> GateResult | None:
        """What the gate saw in the latest frame; None before the first."""
        return self._last

    def admits(self, frame: Frame) -> bool:
        """Whether the frame is worth the little model's look."""
        self.seen += 1
        if frame.still and not self._settings.photos:
            regions = self._bursts.regions(frame) if self._settings.bursts else ()
            self._last = GateResult(True, GateReason.PHOTO, 1.0, regions)
            return True
        self._last = result = self._judge(frame)
        self.passed_over += not result.admitted
        self._before = frame.captured_at
        if result.admitted:
            self._admitted_at = frame.captured_at
            if result.reason is not GateReason.MOTION:
                self._refused.clear()
        else:
            self._refused.append(frame)
        return result.admitted

    def take_before(self, frame: Frame) -> tuple[Frame, ...]:
        """The frames of the moments before motion, the oldest first (`before_frames`); each is given once.

        Args:
            frame: the latest, which was admitted. Frames of another source or more than 10 s before it do not count.
        """
        refused = tuple(self._refused)
        self._refused.clear()
        earliest = frame.captured_at - timedelta(seconds=_BEFORE_S)
        return tuple(
            one for one in refused if one.source == frame.source and earliest <= one.captured_at < frame.captured_at
        )

    def _judge(self, frame: Frame) -> GateResult:
        settings = self._settings
        step_s = (frame.captured_at - self._before).total_seconds() if self._before is not None else 0.0
        small = shrink(frame.view, settings.side)
        if frame.size != self._shape or step_s <= 0:
            first = not self._shape
            self._learn(small, frame.size)
            return GateResult(True, GateReason.LEARNING if first else GateReason.SCENE, 1.0)
        changed, clustered = self._compare(small, min(step_s, _LONGEST_STEP_S))
        if changed > settings.scene_area:
            self._learn(small, frame.size)
            return GateResult(True, GateReason.SCENE, changed)
        self._seen += 1
        if self._seen <= settings.learn_frames:
            return GateResult(True, GateReason.LEARNING, changed)
        if clustered >= settings.min_area:
            self._hold = settings.hold_frames
            self._hold_until = frame.captured_at + timedelta(seconds=settings.hold_s)
            width, height = frame.size
            regions = find_regions(self._moved, self._grown, width, height, settings.min_area * small.size)
            self._held = tuple(replace(region, held=True) for region in regions)
            return GateResult(True, GateReason.MOTION, changed, regions)
        if self._hold > 0 or frame.captured_at < self._hold_until:
            self._hold = max(0, self._hold - 1)
            return GateResult(True, GateReason.HOLD, changed, self._held if step_s <= _LONGEST_STEP_S else ())
        if (frame.captured_at - self._admitted_at).total_seconds() >= settings.heartbeat_s:
            return GateResult(True, GateReason.HEARTBEAT, changed)
        return GateResult(False, GateReason.STILL, changed)

    def _learn(self, small: NDArray[np.uint8], shape: tuple[int, ...]) -> None:
        """Start over with this picture as the background."""
        self._shape = shape
        self._seen = self._hold = 0
        self._held = ()
        self._hold_until = datetime.min.replace(tzinfo=UTC)
        self._background = small.astype(np.float32)
        self._noise = np.full(small.shape, _FIRST_NOISE, np.float32)
        self._least = np.full(small.shape, self._settings.min_step, np.float32)

    def _compare(self, small: NDArray[np.uint8], step_s: float) -> tuple[float, float]:
        """Parts of the picture that differ: in all, and within the fullest window; then learn from the picture."""
        settings, background, noise = self._settings, self._background, self._noise
        background *= brightness_factor(small, background)
        difference = cv2.absdiff(small.astype(np.float32), background)
        threshold = cv2.max(cv2.dilate(noise, _CROSS) * settings.noise_factor, self._least)
        moved = cv2.medianBlur(cv2.compare(difference, threshold, cv2.CMP_GT), 3)
        count = cv2.countNonZero(moved)

        rate = max(1 - np.exp(-step_s / settings.background_s), 1 / (self._seen + 2))
        rest = moved
        if count > 0:
            # What stands out is learned slowly, with a margin for its soft edge.
            slow = 1 - float(np.exp(-step_s / settings.absorb_s))
            rest = cv2.dilate(moved, _CROSS)
            cv2.accumulateWeighted(small, background, slow, rest)
            usual = cv2.threshold(difference, _MOST_NOISE, _MOST_NOISE, cv2.THRESH_TRUNC)[1]
            cv2.accumulateWeighted(usual, noise, slow, rest)
        self._moved, self._grown = np.asarray(moved, np.uint8), np.asarray(rest, np.uint8)
        still = cv2.bitwise_not(rest)
        cv2.accumulateWeighted(small, background, rate, still)
        cv2.accumulateWeighted(difference, noise, rate, still)
        if count < settings.min_area * moved.size:
            return count / moved.size, 0.0
        window = cv2.boxFilter(moved, cv2.CV_32F, (_WINDOW, _WINDOW), normalize=False)
        return count / moved.size, min(count, cv2.minMaxLoc(window)[1] / 255) / moved.size
