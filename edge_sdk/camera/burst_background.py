"""Regions of photos: where those of a triggered camera differ from its scene.

A camera that takes a few photos for each trigger gives no video to learn a background from. But it stands still, and
what brought the last triggers has moved on: the median over the last bursts is the scene without visitors (temporal
median background; Lo and Velastin, "Automatic congestion detection system for underground platforms", ISIMP 2001,
section 3). Light changes between bursts, so each is brought to the brightness of the photo, and of many bursts those
that look most like the photo count.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from datetime import datetime

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_sdk.camera.files import camera_of
from edge_sdk.camera.regions import find_regions
from edge_sdk.camera.small_picture import brightness_factor, shrink
from edge_sdk.types import Frame, Region

_CAMERAS = 8
_CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.uint8)
_NORMAL = 1.4826  # standard deviations in a median absolute deviation of normal noise


@dataclass(slots=True)
class _Camera:
    """What is known of one camera's scene."""

    shape: tuple[int, ...]
    last_at: datetime
    burst: list[NDArray[np.uint8]] = field(default_factory=list)
    scenes: deque[NDArray[np.float32]] = field(default_factory=deque)


class BurstBackground:
    """Finds regions in photos, by the photos that came before. Not safe for use from several threads at once.

    Each photo is answered when it comes: the first of a burst is compared with earlier bursts alone, the others with
    their own burst as well, up to then. Before a camera's `least` pictures there are no regions.

    Args:
        side: longer side of the small grey picture that is compared, in pixels.
        gap_s: seconds without a photo after which the next one begins another burst.
        bursts: how many of a camera's last bursts are remembered, one picture each.
        alike: how many of them count: those that look most like the photo.
        least: pictures that a background needs.
        min_step: smallest difference that counts, in grey levels of 255.
        noise_factor: a pixel counts when it differs by more than this times what it usually does, and than what most
            of the picture does.
        min_area: least part of the picture that a region differs in.
        scene_area: no regions where more than this part differs: another light, or the camera was moved.
    """

    def __init__(
        self,
        *,
        side: int = 160,
        gap_s: float = 10.0,
        bursts: int = 16,
        alike: int = 5,
        least: int = 3,
        min_step: float = 12.0,
        noise_factor: float = 3.5,
        min_area: float = 0.001,
        scene_area: float = 0.4,
    ) -> None:
        self._side, self._gap_s, self._bursts = side, gap_s, bursts
        self._alike, self._least = alike, least
        self._min_step, self._noise_factor = min_step, noise_factor
        self._min_area, self._scene_area = min_area, scene_area
        self._cameras: OrderedDict[str, _Camera] = OrderedDict()

    def regions(self, frame: Frame) -> tuple[Region, ...]:
        """Where a photo differs from its scene, the largest region first; none where that is not known."""
        small = shrink(frame.image, self._side)
        camera = self._camera(frame)
        moved = self._moved(small, camera)
        camera.burst.append(small)
        if moved is None:
            return ()
        share = cv2.countNonZero(moved) / moved.size
        if not self._min_area <= share <= self._scene_area:
            return ()
        height, width = frame.image.shape[:2]
        grown = np.asarray(cv2.dilate(moved, _CROSS), np.uint8)
        return find_regions(moved, grown, width, height, self._min_area * moved.size)

    def _camera(self, frame: Frame) -> _Camera:
        """The camera of a photo; its burst is closed where this photo begins another."""
        name = camera_of(frame.source)
        camera = self._cameras.pop(name, None)
        if camera is None or camera.shape != frame.image.shape:
            camera = _Camera(frame.image.shape, frame.captured_at)
        elif camera.burst and abs((frame.captured_at - camera.last_at).total_seconds()) > self._gap_s:
            camera.scenes.append(np.median(np.stack(camera.burst), axis=0).astype(np.float32))
            camera.burst.clear()
            if len(camera.scenes) > self._bursts:
                camera.scenes.popleft()
        camera.last_at = frame.captured_at
        self._cameras[name] = camera
        if len(self._cameras) > _CAMERAS:
            self._cameras.popitem(last=False)
        return camera

    def _moved(self, small: NDArray[np.uint8], camera: _Camera) -> NDArray[np.uint8] | None:
        """Where a picture differs from the background, `uint8 (h, w)`, 0 or 255; None: there is no background."""
        scenes = [scene * brightness_factor(small, scene) for scene in camera.scenes]
        scenes.sort(key=lambda scene: float(np.median(cv2.absdiff(small.astype(np.float32), scene))))
        known = [*scenes[: self._alike], *(one.astype(np.float32) for one in camera.burst)]
        if len(known) < self._least:
            return None
        stack = np.stack(known)
        background = np.median(stack, axis=0)
        usual = np.median(np.abs(stack - background), axis=0).astype(np.float32) * np.float32(_NORMAL)
        difference = cv2.absdiff(small.astype(np.float32), background.astype(np.float32))
        usual = np.maximum(cv2.dilate(usual, _CROSS), np.float32(_NORMAL) * np.median(difference))
        threshold = np.maximum(usual * np.float32(self._noise_factor), np.float32(self._min_step))
        return np.asarray(cv2.medianBlur(cv2.compare(difference, threshold, cv2.CMP_GT), 3), np.uint8)
