from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk.camera import open_camera
from edge_sdk.camera.gate import GateReason, MotionGate, MotionSettings
from edge_sdk.errors import ConfigError
from edge_sdk.types import Frame, Image

START = datetime(2026, 5, 1, tzinfo=UTC)


class Scene:
    """A fixed camera at 10 frames per second: a textured background, sensor noise, and what a test paints over it."""

    def __init__(self, width: int = 320, height: int = 240, noise: int = 6) -> None:
        self.rng = np.random.default_rng(0)
        coarse = self.rng.integers(60, 180, (height // 8, width // 8, 3), dtype=np.uint8)
        self.background = np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)
        self.noise = noise
        self.now = START

    def frame(self, *, gain: float = 1.0, box: tuple[int, int, int] | None = None, step_s: float = 0.1) -> Frame:
        """The next frame; `box` is the corner x, y and the side of a dark square."""
        self.now += timedelta(seconds=step_s)
        image = self.background.astype(np.float32)
        if box is not None:
            x, y, side = box
            image[y : y + side, x : x + side] *= 0.4
        image = image * gain + self.rng.integers(-self.noise, self.noise + 1, image.shape)
        return Frame(np.clip(image, 0, 255).astype(np.uint8), self.now)


def reasons(gate: MotionGate, frames: Iterator[Frame] | list[Frame]) -> list[GateReason]:
    found = []
    for frame in frames:
        admitted = gate.admits(frame)
        assert gate.last is not None
        assert gate.last.admitted is admitted
        assert admitted is (gate.last.reason is not GateReason.STILL)
        assert 0 <= gate.last.changed <= 1
        found.append(gate.last.reason)
    return found


def settled(scene: Scene, gate: MotionGate) -> None:
    found = reasons(gate, [scene.frame() for _ in range(20)])
    assert found[:6] == [GateReason.LEARNING] * 6
    assert found[6:] == [GateReason.STILL] * 14


def test_nothing_is_known_before_the_first_frame() -> None:
    assert MotionGate().last is None


def test_motion_then_hold_then_still() -> None:
    scene, gate = Scene(), MotionGate()
    settled(scene, gate)
    walk = [scene.frame(box=(20 * step, 100, 30)) for step in range(10)]
    assert set(reasons(gate, walk)) == {GateReason.MOTION}
    after = reasons(gate, [scene.frame() for _ in range(10)])
    assert after == [GateReason.HOLD] * 2 + [GateReason.STILL] * 8


@given(x=st.integers(0, 300), y=st.integers(0, 220), side=st.integers(14, 120))
@settings(max_examples=15, deadline=None)
def test_what_arrives_is_seen_wherever_and_however_large_it_is(x: int, y: int, side: int) -> None:
    scene, gate = Scene(), MotionGate()
    settled(scene, gate)
    assert reasons(gate, [scene.frame(box=(x, y, side))]) == [GateReason.MOTION]


@given(x=st.integers(0, 300), y=st.integers(0, 220), side=st.integers(20, 60))
@settings(max_examples=15, deadline=None)
def test_the_region_is_where_it_arrived(x: int, y: int, side: int) -> None:
    scene, gate = Scene(), MotionGate()
    settled(scene, gate)
    assert gate.admits(scene.frame(box=(x, y, side)))
    assert gate.last is not None
    (region,) = gate.last.regions
    assert region.score == 1 and not region.held
    right, bottom = min(x + side, 320), min(y + side, 240)
    edges = (region.x, region.y, region.x + region.width, region.y + region.height)
    np.testing.assert_allclose(edges, (x, y, right, bottom), atol=10)


def test_two_visitors_are_two_regions_and_a_held_frame_keeps_them() -> None:
    scene, gate = Scene(), MotionGate()
    settled(scene, gate)
    frame = scene.frame(box=(40, 40, 30))
    frame.image[120:180, 200:280] //= 3
    assert gate.admits(frame) and gate.last is not None
    regions = gate.last.regions
    assert [one.x < 160 for one in regions] == [False, True]
    assert sum(one.score for one in regions) == pytest.approx(1)
    gate.admits(scene.frame())
    assert gate.last.reason is GateReason.HOLD
    assert gate.last.regions == tuple(replace(one, held=True) for one in regions)
    gate.admits(scene.frame(step_s=10.0))
    assert (gate.last.reason, gate.last.regions) == (GateReason.HOLD, ())


def test_frames_that_tell_nothing_of_motion_have_no_region() -> None:
    scene, gate = Scene(), MotionGate(MotionSettings(heartbeat_s=5.0))
    for frame in [*(scene.frame(box=(20 * step, 100, 40)) for step in range(6)), scene.frame(gain=3.0)]:
        assert gate.admits(frame) and gate.last is not None
        assert gate.last.reason in (GateReason.LEARNING, GateReason.SCENE)
        assert gate.last.regions == ()
    for _ in range(100):
        gate.admits(scene.frame())
        assert gate.last is not None
        assert gate.last.reason in (GateReason.MOTION, GateReason.HOLD) or gate.last.regions == ()


def test_specks_are_not_motion() -> None:
    scene, gate = Scene(), MotionGate()
    settled(scene, gate)
    for _ in range(10):
        frame = scene.frame()
        frame.image[scene.rng.random(frame.image.shape[:2]) < 0.0005] = 255
        assert not gate.admits(frame)


def test_light_that_changes_everywhere_is_not_motion() -> None:
    scene, gate = Scene(), MotionGate()
    settled(scene, gate)
    cloud = [scene.frame(gain=1 - 0.4 * np.sin(step / 5)) for step in range(40)]
    assert set(reasons(gate, cloud)) == {GateReason.STILL}
    assert reasons(gate, [scene.frame(gain=0.7, box=(150, 100, 30))]) == [GateReason.MOTION]


def test_a_noisy_place_learns_its_own_threshold() -> None:
    """Leaves that wave stop counting after a while; a visitor in front of them still does."""
    scene, gate = Scene(), MotionGate()
    settled(scene, gate)

    def waving() -> Frame:
        frame = scene.frame()
        frame.image[50:90, 50:90] = np.clip(frame.image[50:90, 50:90] + scene.rng.normal(0, 30), 0, 255)
        return frame

    found = reasons(gate, (waving() for _ in range(400)))
    assert found[0] is GateReason.MOTION
    assert found[-100:].count(GateReason.STILL) > 75
    visitor = waving()
    visitor.image[30:110, 30:110] = 0
    assert reasons(gate, [visitor]) == [GateReason.MOTION]


def test_the_heartbeat_comes_by_capture_time() -> None:
    scene, gate = Scene(), MotionGate(MotionSettings(heartbeat_s=5.0))
    settled(scene, gate)
    found = reasons(gate, [scene.frame() for _ in range(200)])
    beats = [index for index, reason in enumerate(found) if reason is GateReason.HEARTBEAT]
    assert len(beats) == 4
    assert set(np.diff(beats)) == {50}


def test_frames_further_apart_than_the_heartbeat_are_all_admitted() -> None:
    scene, gate = Scene(), MotionGate()
    assert all(gate.admits(scene.frame(step_s=60)) for _ in range(30))


def test_what_stays_is_absorbed() -> None:
    scene, gate = Scene(), MotionGate(MotionSettings(absorb_s=3.0, heartbeat_s=1000))
    settled(scene, gate)
    found = reasons(gate, (scene.frame(box=(100, 100, 40)) for _ in range(200)))
    assert found[0] is GateReason.MOTION
    assert found[-1] is GateReason.STILL


def test_a_moved_camera_is_learned_anew() -> None:
    scene, gate = Scene(), MotionGate()
    settled(scene, gate)
    other = Scene()
    other.background = np.ascontiguousarray(255 - scene.background[:, ::-1])
    other.now = scene.now
    found = reasons(gate, [other.frame() for _ in range(20)])
    assert found == [GateReason.SCENE] + [GateReason.LEARNING] * 5 + [GateReason.STILL] * 14


def test_another_size_or_an_earlier_time_starts_a_new_scene() -> None:
    scene, gate = Scene(), MotionGate()
    settled(scene, gate)
    wide = Scene(320, 180)
    wide.now = scene.now
    assert reasons(gate, [wide.frame(), wide.frame()]) == [GateReason.SCENE, GateReason.LEARNING]
    wide.now -= timedelta(hours=1)
    assert reasons(gate, [wide.frame()]) == [GateReason.SCENE]


@pytest.mark.parametrize("shape", [(1, 1), (3, 2000), (2000, 3), (120, 160), (1944, 2592)])
def test_any_size_of_frame(shape: tuple[int, int]) -> None:
    image: Image = np.full((*shape, 3), 100, np.uint8)
    gate = MotionGate()
    assert [gate.admits(Frame(image, START + timedelta(seconds=step))) for step in range(8)] == [True] * 6 + [False] * 2


@pytest.mark.parametrize(
    "wrong",
    [
        {"min_step": 0},
        {"noise_factor": -1.0},
        {"min_area": 1.0},
        {"scene_area": 1.5},
        {"side": 16},
        {"hold_frames": -1},
        {"heartbeat_s": float("nan")},
    ],
)
def test_impossible_settings(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="expected MotionSettings"):
        MotionSettings(**wrong)


def test_no_visit_to_the_simulated_camera_is_lost() -> None:
    visits = missed = empties = refused = 0
    with open_camera("simulated://trailcam?seed=9&fps=4&frames=200") as camera:
        gate = MotionGate()
        before, seen, admitted = START, False, False
        for frame in camera:
            if (frame.captured_at - before).total_seconds() > 10:  # another trigger
                visits, missed = visits + seen, missed + (seen and not admitted)
                seen = admitted = False
            before = frame.captured_at
            admits = gate.admits(frame)
            if frame.truth == "empty":
                empties, refused = empties + 1, refused + (not admits)
            else:
                seen, admitted = True, admitted or admits
    assert visits >= 3
    assert missed == 0
    assert refused > empties / 5


@pytest.mark.data
def test_every_car_on_a_real_road_is_admitted_and_in_a_region(data_dir: Path) -> None:
    with open_camera(data_dir / "video" / "road.avi") as camera:
        frames = list(camera)
    small = np.stack([cv2.cvtColor(cv2.resize(f.image, (320, 180)), cv2.COLOR_RGB2GRAY) for f in frames]).astype(float)
    # The reference sees the whole video at once: its median is the empty road.
    differs = np.abs(small - np.median(small, axis=0)) > 25
    masks = [cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3))) for mask in differs]
    changed = np.array([mask.sum() for mask in masks])
    gate = MotionGate()
    admitted, covered, areas = [], [], []
    for frame, mask in zip(frames, masks, strict=True):
        admitted.append(gate.admits(frame))
        if gate.last is not None and gate.last.reason is GateReason.MOTION and mask.sum() > 40:
            within = np.zeros(frame.image.shape[:2], np.uint8)
            for region in gate.last.regions:
                within[region.y : region.y + region.height, region.x : region.x + region.width] = 1
            areas.append(within.mean())
            covered.append((mask * cv2.resize(within, (320, 180), interpolation=cv2.INTER_NEAREST)).sum() / mask.sum())
    cars, empty = changed > 40, changed == 0
    assert cars.sum() > 200
    assert np.array(admitted)[cars].all()
    assert empty.sum() > 80
    assert (~np.array(admitted)[empty]).mean() > 0.75
    # The regions hold all of every car, and little else: the cars are not larger than a tenth of the frame.
    assert min(covered) > 0.95 and np.mean(areas) < 0.1


def test_photos_are_let_through_unless_they_are_to_be_compared() -> None:
    scene = Scene()
    photos = [replace(scene.frame(step_s=1), still=True) for _ in range(20)]
    gate = MotionGate()
    assert all(gate.admits(photo) for photo in photos)
    assert gate.last is not None and gate.last.reason is GateReason.PHOTO
    assert (gate.seen, gate.passed_over) == (20, 0)
    strict = MotionGate(MotionSettings(photos=True))
    admitted = sum(strict.admits(photo) for photo in photos)
    assert admitted < 10
    assert (strict.seen, strict.passed_over) == (20, 20 - admitted)


def test_frames_of_before_motion_are_kept_and_given_once() -> None:
    scene, gate = Scene(), MotionGate(MotionSettings(before_frames=3))
    settled(scene, gate)
    quiet = [scene.frame() for _ in range(5)]
    assert set(reasons(gate, quiet)) == {GateReason.STILL}
    moved = scene.frame(box=(100, 60, 80))
    assert gate.admits(moved)
    assert [one.frame_id for one in gate.take_before(moved)] == [one.frame_id for one in quiet[-3:]]
    assert gate.take_before(moved) == ()


def test_frames_of_long_before_or_of_another_source_do_not_count() -> None:
    scene, gate = Scene(), MotionGate(MotionSettings(before_frames=3))
    settled(scene, gate)
    for frame in (scene.frame(), replace(scene.frame(step_s=15.0), source="another"), scene.frame()):
        gate.admits(frame)
    last = scene.frame(box=(100, 60, 80))
    assert gate.admits(last)
    assert len(gate.take_before(last)) == 1


def test_a_gate_keeps_no_frames_unless_it_is_told_to() -> None:
    scene, gate = Scene(), MotionGate()
    settled(scene, gate)
    moved = scene.frame(box=(100, 60, 80))
    assert gate.admits(moved)
    assert gate.take_before(moved) == ()
    for bad in (-1, 65):
        with pytest.raises(ConfigError, match="before_frames"):
            MotionSettings(before_frames=bad)
    with pytest.raises(ConfigError, match="hold_s"):
        MotionSettings(hold_s=float("nan"))


def test_frames_of_the_seconds_after_motion_are_let_through() -> None:
    scene, gate = Scene(), MotionGate(MotionSettings(hold_s=1.0))
    settled(scene, gate)
    assert gate.admits(scene.frame(box=(100, 60, 80)))
    after = reasons(gate, [scene.frame() for _ in range(12)])
    moved = after.count(GateReason.MOTION)
    assert after[moved:] == [GateReason.HOLD] * after.count(GateReason.HOLD) + [GateReason.STILL] * after.count(
        GateReason.STILL
    )
    assert after.count(GateReason.HOLD) + moved == 9
