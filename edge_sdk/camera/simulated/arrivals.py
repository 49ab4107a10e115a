"""Who comes, when, and what they do: visits as tracks over the ground, planned frame by frame."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edge_sdk.camera.simulated.birds import bird
from edge_sdk.camera.simulated.mammals import boar, deer, fox
from edge_sdk.camera.simulated.painter import Place, View
from edge_sdk.camera.simulated.people import person
from edge_sdk.camera.simulated.pose import Pose
from edge_sdk.camera.simulated.shape import Solid
from edge_sdk.camera.simulated.texture import generator
from edge_sdk.camera.simulated.vehicles import vehicle


@dataclass(frozen=True, slots=True)
class Habit:
    """How one class moves and when it comes.

    Attributes:
        draw: makes its solid.
        length_m: its longest visible side.
        stance_m: length of its footprint.
        walk_mps: walking speed.
        run_mps: running speed.
        pause: chance to stop on the way.
        rests: what it does when it stops.
        group: most that come together.
        night: rate at night, relative to `day`.
        day: rate by day.
    """

    draw: Callable[[Pose, np.random.Generator], Solid]
    length_m: float
    stance_m: float
    walk_mps: float
    run_mps: float
    pause: float
    rests: tuple[str, ...]
    group: int
    day: float
    night: float


HABITS: dict[str, Habit] = {
    "bird": Habit(bird, 0.60, 0.35, 0.35, 3.0, 0.95, ("feed", "stand", "feed"), 3, 1.8, 0.45),
    "boar": Habit(boar, 1.40, 1.30, 1.0, 3.5, 0.8, ("feed", "feed", "alert"), 4, 0.5, 1.3),
    "deer": Habit(deer, 1.65, 1.25, 0.9, 4.5, 0.8, ("feed", "alert", "feed"), 3, 1.0, 1.0),
    "fox": Habit(fox, 0.90, 0.75, 1.0, 3.2, 0.7, ("alert", "feed", "stand"), 1, 0.6, 1.6),
    "person": Habit(person, 1.75, 0.60, 1.2, 2.8, 0.4, ("stand", "stand", "feed"), 2, 1.4, 0.35),
    "vehicle": Habit(vehicle, 4.40, 4.40, 2.6, 5.0, 0.35, ("stand",), 1, 1.7, 0.9),
}
LABELS: tuple[str, ...] = tuple(sorted((*HABITS, "empty")))


@dataclass(frozen=True, slots=True)
class Actor:
    """One subject at one instant."""

    kind: str
    seed: int
    place: Place
    pose: Pose
    speed_px: float

    @property
    def stance_m(self) -> float:
        """Length of its footprint."""
        return HABITS[self.kind].stance_m

    def solid(self) -> Solid:
        """Its shape; the same individual looks the same in every frame."""
        return HABITS[self.kind].draw(self.pose, generator(31, self.seed))


def apparent_px(rng: np.random.Generator, view: View) -> float:
    """How large the next visitor appears: a third far, a third at middle distance, a third near."""
    low, high = ((28, 60), (60, 140), (140, 360))[int(rng.choice(3, p=(0.42, 0.33, 0.25)))]
    return float(np.exp(rng.uniform(np.log(low), np.log(high)))) * view.width / 640


def plan_visit(
    kind: str, rng: np.random.Generator, view: View, fps: float, reach_m: float = 75.0
) -> list[tuple[Actor, ...]]:
    """A whole visit, one tuple of actors per frame, from outside the picture to outside the picture.

    Args:
        kind: which class comes.
        rng: decides everything else.
        view: the camera.
        fps: frames per second.
        reach_m: how far one can see in this light.
    """
    habit = HABITS[kind]
    nearest = view.focal_px * view.eye_m / (view.height - view.horizon_px) * 0.92
    distance = float(
        np.clip(
            view.focal_px * habit.length_m / apparent_px(rng, view), nearest, max(min(reach_m, 75.0), nearest + 1.0)
        )
    )
    number = 1 if habit.group == 1 or rng.random() < 0.6 else int(rng.integers(2, habit.group + 1))
    side = 1.0 if rng.random() < 0.5 else -1.0
    running = rng.random() < 0.15
    flying = kind == "bird" and rng.random() < 0.25
    flock = int(rng.integers(1 << 31))
    tracks = []
    for member in range(number):
        shift = 0.0 if member == 0 else float(rng.normal(0, 0.8)) + 0.8 * member
        away = max(distance * float(1 + (0.0 if member == 0 else rng.normal(0, 0.08))), nearest)
        seed = flock if kind == "bird" else int(rng.integers(1 << 31))
        tracks.append(_track(kind, seed, habit, rng, view, fps, away, side, shift, running, flying))
    longest = max(len(track) for track in tracks)
    return [tuple(track[step] for track in tracks if step < len(track)) for step in range(longest)]


def _track(
    kind: str,
    seed: int,
    habit: Habit,
    rng: np.random.Generator,
    view: View,
    fps: float,
    distance: float,
    side: float,
    shift: float,
    running: bool,
    flying: bool,
) -> list[Actor]:
    half = view.width / view.focal_px / 2 * distance
    edge = half + habit.length_m * 0.45
    slope = float(rng.normal(0, 0.35))
    nearest = view.focal_px * view.eye_m / (view.height - view.horizon_px) * 0.92
    stops = (
        sorted(rng.uniform(-0.75, 0.75, int(rng.integers(1, 3)))) if rng.random() < habit.pause and not flying else []
    )
    action = "fly" if flying else "run" if running else "walk"
    speed = (habit.run_mps if flying or running else habit.walk_mps) * float(rng.uniform(0.8, 1.25))
    true_speed = speed
    # Small visits last a handful of frames, distant ones would take minutes: they hurry, or start inside the picture.
    speed *= max(1.0, 2 * half / (speed * 26 / fps))
    lift = float(rng.uniform(0.5, 2.0)) if flying else 0.0
    gait_m = {"person": 1.4, "vehicle": 2.4, "bird": 0.5}.get(kind, habit.length_m * 0.62)
    track: list[Actor] = []
    x, phase, sway = -edge, float(rng.random()), float(rng.normal(0, 0.5))
    look = 0.0
    targets = [stop * half for stop in stops] + [edge]
    if shift:
        x -= abs(shift) * 0.8
    for target in targets:
        while x < target:
            x = min(x + speed / fps, target) if target < edge else x + speed / fps
            phase = (phase + speed / fps / gait_m) % 1.0 if not flying else (phase + 0.31) % 1.0
            away = float(np.clip(distance + slope * x, max(nearest, distance * 0.6), distance * 1.7))
            moving_away = slope if max(nearest, distance * 0.6) < away < distance * 1.7 else 0.0
            heading = float(np.arctan2(-moving_away, 1.0))
            heading = heading if side > 0 else np.pi - heading
            pace = true_speed * view.focal_px / away
            track.append(
                Actor(kind, seed, Place(side * x, away, float(heading), lift), Pose(action, phase, sway, look), pace)
            )
        if target >= edge:
            break
        last = track[-1] if track else None
        base = last.place if last else Place(side * x, distance, 0.0 if side > 0 else np.pi)
        turn = base.heading + float(rng.choice((0.0, rng.normal(0, 0.9)), p=(0.5, 0.5)))
        remaining = int(rng.integers(4, 16))
        while remaining > 0:
            rest = habit.rests[int(rng.integers(len(habit.rests)))]
            for _ in range(min(int(rng.integers(2, 8)), remaining)):
                sway = float(np.clip(sway + rng.normal(0, 0.35), -1, 1))
                look = float(np.clip(look + rng.normal(0, 0.25), -0.9, 0.9)) if rest != "feed" else look * 0.5
                track.append(
                    Actor(
                        kind, seed, Place(base.across_m, base.distance_m, turn, 0.0), Pose(rest, phase, sway, look), 0.0
                    )
                )
                remaining -= 1
        look = 0.0
    return track


def next_kind(rng: np.random.Generator, night: bool) -> str:
    """Which class comes next at this time of day."""
    kinds = sorted(HABITS)
    rates = np.array([HABITS[kind].night if night else HABITS[kind].day for kind in kinds])
    return kinds[int(rng.choice(len(kinds), p=rates / rates.sum()))]
