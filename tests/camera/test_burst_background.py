"""Regions of photos that come in bursts."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import cv2
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk.camera.burst_background import BurstBackground
from edge_sdk.camera.gate import GateReason, MotionGate, MotionSettings
from edge_sdk.types import Frame, Region

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
Box = tuple[int, int, int]


class Trap:
    """A triggered camera before a textured scene with noise; a dark square is what a test puts there."""

    def __init__(self, folder: str = "/card/a") -> None:
        self.rng = np.random.default_rng(1)
        coarse = self.rng.integers(60, 180, (30, 40, 3), dtype=np.uint8)
        self.scene = np.asarray(cv2.resize(coarse, (320, 240), interpolation=cv2.INTER_CUBIC), np.float32)
        self.folder, self.now, self.number = folder, NOON, 0

    def photo(self, box: Box | None = None, *, after_s: float = 1.0, light: float = 1.0) -> Frame:
        self.now += timedelta(seconds=after_s)
        self.number += 1
        image = self.scene.copy()
        if box is not None:
            x, y, side = box
            image[y : y + side, x : x + side] *= 0.3
        image = image * light + self.rng.integers(-5, 6, image.shape)
        source = f"{self.folder}/{self.number}.jpg"
        return Frame(np.clip(image, 0, 255).astype(np.uint8), self.now, source, still=True)

    def burst(self, box: Box | None = None, *, light: float = 1.0, step: int = 0) -> list[Frame]:
        """Three photos a second apart, minutes after the last ones."""
        boxes = [None if box is None else (box[0] + step * k, box[1], box[2]) for k in range(3)]
        return [self.photo(one, after_s=300 if k == 0 else 1, light=light) for k, one in enumerate(boxes)]


def covers(region: Region, box: Box) -> bool:
    """Whether a region is a box, up to a few pixels."""
    x, y, side = box
    edges = (region.x - x, region.y - y, region.x + region.width - x - side, region.y + region.height - y - side)
    return max(map(abs, edges)) <= 8


def test_the_first_photo_of_a_burst_is_compared_with_earlier_bursts() -> None:
    trap, background = Trap(), BurstBackground()
    for _ in range(3):
        assert all(background.regions(photo) == () for photo in trap.burst())
    box = (120, 80, 40)
    for photo in trap.burst(box):  # it stays, so its own burst does not show it
        (region,) = background.regions(photo)
        assert covers(region, box) and not region.held
    assert background.regions(trap.burst()[0]) == ()  # it has gone, and left no ghost


def test_one_burst_alone_shows_what_moves_within_it_once_there_are_enough_photos() -> None:
    trap, background = Trap(), BurstBackground()
    boxes: list[Box] = [(20, 60, 40), (90, 60, 40), (160, 60, 40), (230, 60, 40)]
    found = [background.regions(trap.photo(box)) for box in boxes]
    assert found[:3] == [(), (), ()]
    assert [covers(region, boxes[3]) for region in found[3]] == [True]


def test_another_light_is_no_subject_and_one_in_another_light_is() -> None:
    trap, background = Trap(), BurstBackground()
    for light in (1.0, 1.1, 1.2, 0.9):
        assert all(background.regions(photo) == () for photo in trap.burst(light=light))
    box = (200, 100, 50)
    (region,) = background.regions(trap.burst(box, light=1.3)[0])
    assert covers(region, box)


def test_a_scene_that_is_another_has_no_regions() -> None:
    trap, background = Trap(), BurstBackground()
    for _ in range(3):
        for photo in trap.burst():
            background.regions(photo)
    trap.scene = np.ascontiguousarray(trap.scene[::-1, ::-1])
    assert background.regions(trap.photo(after_s=300)) == ()


def test_cameras_do_not_mix_and_few_are_remembered() -> None:
    background = BurstBackground()
    traps = [Trap(f"/card/{number}") for number in range(9)]
    for number, trap in enumerate(traps):
        trap.scene = np.roll(trap.scene, 30 * number, axis=1)
    for _ in range(4):
        for trap in traps[:8]:
            assert all(background.regions(photo) == () for photo in trap.burst())
    background.regions(traps[8].photo())  # the ninth: the first one, unseen for longest, is forgotten
    box = (120, 80, 40)
    assert background.regions(traps[0].photo(box, after_s=300)) == ()
    (region,) = background.regions(traps[7].photo(box, after_s=300))
    assert covers(region, box)


def test_a_picture_of_another_size_begins_anew() -> None:
    trap, background = Trap(), BurstBackground()
    for _ in range(3):
        for photo in trap.burst():
            background.regions(photo)
    small = replace(trap.photo((120, 80, 40)), image=np.zeros((120, 160, 3), np.uint8))
    assert background.regions(small) == ()


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(1, 12))
def test_whatever_comes_regions_lie_within_the_picture(seed: int, count: int) -> None:
    rng, background = np.random.default_rng(seed), BurstBackground()
    height, width = int(rng.integers(1, 200)), int(rng.integers(1, 200))
    now = NOON
    for _ in range(count):
        now += timedelta(seconds=int(rng.integers(-5, 30)))
        low, high = sorted(rng.integers(0, 256, 2).tolist())
        image = rng.integers(low, high + 1, (height, width, 3), np.uint8)
        for region in background.regions(Frame(image, now, "/a/b.jpg", still=True)):
            assert 0 <= region.x < region.x + region.width <= width
            assert 0 <= region.y < region.y + region.height <= height


def test_the_gate_gives_photos_these_regions_unless_that_is_off() -> None:
    box = (120, 80, 40)
    for bursts in (True, False):
        trap, gate = Trap(), MotionGate(MotionSettings(bursts=bursts))
        for photo in [*trap.burst(), *trap.burst(), *trap.burst(), trap.photo(box, after_s=300)]:
            assert gate.admits(photo)
            assert gate.last is not None and gate.last.reason is GateReason.PHOTO
        assert gate.last is not None and len(gate.last.regions) == bursts
