"""A walking, running, feeding animal on four legs, from its proportions.

Proportions are in shoulder heights. Each profile is a list of `(s, top, bottom, half_width)` stations, so the side view
is the outline a naturalist would draw and the other views follow from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge_sdk.camera.simulated.pose import Pose
from edge_sdk.camera.simulated.shape import Colour, Glow, Panel, Tube, knee, limb, loft

Station = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Build:
    """Proportions of one species; the four angles of neck and head are for walking, standing, feeding and running."""

    torso: Sequence[Station]
    neck_at: tuple[float, float]
    neck: Sequence[Station]
    head: Sequence[Station]
    neck_angles: tuple[float, float, float, float]
    head_angles: tuple[float, float, float, float]
    fore_at: tuple[float, float]
    hind_at: tuple[float, float]
    stifle: tuple[float, float]
    fore_bones: tuple[float, float]
    hind_bones: tuple[float, float]
    fore_radii: tuple[float, float, float, float]
    hind_radii: tuple[float, float, float, float, float]
    spread: float
    stride: float


_ORDER = {"walk": 0, "stand": 1, "alert": 1, "feed": 2, "run": 3}


def _step(phase: float, stride: float, lift: float, duty: float) -> tuple[float, float]:
    phase %= 1.0
    if phase < duty:
        return stride * (0.5 - phase / duty), 0.0
    swing = (phase - duty) / (1 - duty)
    return stride * (swing - 0.5), lift * float(np.sin(np.pi * swing))


def mix(a: Colour, b: Colour, t: float) -> Colour:
    """A colour between `a` (t = 0) and `b` (t = 1)."""
    return a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t, a[2] + (b[2] - a[2]) * t


def tone(colour: Colour, factor: float) -> Colour:
    """`colour`, brighter or darker."""
    return colour[0] * factor, colour[1] * factor, colour[2] * factor


class Quadruped:
    """Torso, neck, head and legs of one build in one pose; the species add their own marks."""

    def __init__(self, build: Build, pose: Pose, coat: Colour, leg: Colour, hoof: Colour) -> None:
        self.build, self.pose, self.coat = build, pose, coat
        moving = pose.action in ("walk", "run")
        running = pose.action == "run"
        wave = float(np.sin(2 * np.pi * pose.phase))
        self.bob = (0.035 if running else 0.008 if moving else 0.0) * wave
        which = _ORDER.get(pose.action, 1)
        self.neck_angle = build.neck_angles[which] + 0.06 * pose.sway + (0.05 * wave if moving else 0.0)
        self.head_angle = build.head_angles[which] + 0.08 * pose.sway
        self.parts: list[Tube | Panel] = []
        torso = [(s, top + self.bob, bottom + self.bob, half) for s, top, bottom, half in build.torso]
        self.torso = torso
        self.parts.append(loft((0, 0, 0), 0.0, torso, coat, samples=18))
        self._legs(moving, running, leg, hoof)
        x, y = build.neck_at
        self.neck_root = (x, y + self.bob, 0.0)
        self.parts.append(loft(self.neck_root, self.neck_angle, build.neck, coat, turn=pose.look * 0.5, bias_m=0.02))
        reach = build.neck[-1][0]
        forward = reach * np.cos(self.neck_angle)
        self.head_at = (
            x + float(forward * np.cos(pose.look * 0.5)),
            y + self.bob + reach * float(np.sin(self.neck_angle)),
            float(forward * np.sin(pose.look * 0.5)),
        )

    def on_head(self, s: float, up: float, side: float) -> tuple[float, float, float]:
        """A point of the head's own frame, in the body's."""
        a, t = self.head_angle, self.pose.look
        x, y = s * np.cos(a) - up * np.sin(a), s * np.sin(a) + up * np.cos(a)
        return (
            self.head_at[0] + float(x * np.cos(t) - side * np.sin(t)),
            self.head_at[1] + float(y),
            self.head_at[2] + float(x * np.sin(t) + side * np.cos(t)),
        )

    def head_loft(
        self, stations: Sequence[Station], colours: Sequence[Colour] | Colour, bias_m: float, flat: bool = False
    ) -> None:
        """A tube in the head's frame."""
        self.parts.append(
            loft(self.head_at, self.head_angle, stations, colours, turn=self.pose.look, bias_m=bias_m, flat=flat)
        )

    def ear(
        self,
        at: tuple[float, float, float],
        lean: float,
        splay: float,
        length: float,
        width: float,
        outer: Colour,
        inner: Colour,
    ) -> None:
        """Both ears: a leaf of `length`, leaning back by `lean` and out by `splay` radians."""
        leaf = ((0.0, 0.35), (0.35, 1.0), (0.65, 0.85), (1.0, 0.05))
        for side in (-1, 1):
            base = self.on_head(at[0], at[1], at[2] * side)
            stations = [(s * length, w * width, -w * width, w * width * 0.55) for s, w in leaf]
            angle = self.head_angle + np.pi / 2 + lean
            self.parts.append(loft(base, angle, stations, outer, turn=self.pose.look, roll=side * splay, bias_m=0.03))
            small = [
                (s * length * 0.8 + 0.08 * length, w * width * 0.5, -w * width * 0.5, w * width * 0.3) for s, w in leaf
            ]
            self.parts.append(
                loft(base, angle, small, inner, turn=self.pose.look, roll=side * splay, bias_m=0.04, flat=True)
            )

    def face(
        self,
        eye: tuple[float, float, float],
        eye_radius: float,
        nose: tuple[float, float],
        nose_radius: float,
        shine: Colour,
    ) -> list[Glow]:
        """Eyes and nose; returns the eyes as glows."""
        glows = []
        for side in (-1, 1):
            at = self.on_head(eye[0], eye[1], eye[2] * side)
            self.parts.append(limb([at, at], [eye_radius] * 2, (18, 14, 12), flat=True, bias_m=0.05))
            aim = self.pose.look + side * 0.9
            glows.append(Glow(np.array(at), eye_radius * 1.3, np.array([np.cos(aim), 0.0, np.sin(aim)]), shine))
        tip = self.on_head(nose[0], nose[1], 0.0)
        self.parts.append(limb([tip, tip], [nose_radius] * 2, (24, 20, 20), flat=True, bias_m=0.06))
        return glows

    def _legs(self, moving: bool, running: bool, leg: Colour, hoof: Colour) -> None:
        build, pose = self.build, self.pose
        stride = build.stride * (1.5 if running else 1.0) if moving else 0.0
        lift = 0.16 if running else 0.07
        duty = 0.38 if running else 0.62
        offsets = (0.55, 0.68, 0.0, 0.12) if running else (0.25, 0.75, 0.0, 0.5)
        stance = (0.03, -0.04, 0.04, -0.06)
        for number, side in enumerate((1, -1, 1, -1)):
            dx, dy = _step(pose.phase + offsets[number], stride, lift, duty) if moving else (stance[number], 0.0)
            z = side * build.spread
            if number < 2:
                root = (build.fore_at[0], build.fore_at[1] + self.bob)
                foot = (build.fore_at[0] + dx, dy + 0.03)
                mid = knee(root, foot, *build.fore_bones, 1.0)
                joints = [(*root, z), (*mid, z), (*foot, z), (foot[0] + 0.03, foot[1] - 0.01, z)]
                colours = [self.coat, mix(self.coat, leg, 0.6), leg, hoof]
                self.parts.append(limb(joints, build.fore_radii, colours, side_m=0.04 * side, soft=True))
            else:
                hip = (build.hind_at[0], build.hind_at[1] + self.bob)
                stifle = (hip[0] + build.stifle[0] + dx * 0.25, hip[1] + build.stifle[1])
                foot = (build.hind_at[0] - 0.04 + dx, dy + 0.03)
                mid = knee(stifle, foot, *build.hind_bones, -1.0)
                joints = [(*hip, z * 0.6), (*stifle, z), (*mid, z), (*foot, z), (foot[0] + 0.03, foot[1] - 0.01, z)]
                colours = [self.coat, self.coat, mix(self.coat, leg, 0.5), leg, hoof]
                self.parts.append(limb(joints, build.hind_radii, colours, side_m=0.04 * side, soft=True))

    def under(self, share: float, colour: Colour, first: int, last: int) -> None:
        """The lower `share` of the torso's flank in another colour."""
        stations = [
            (s, bottom + (top - bottom) * share, bottom, half * 0.92) for s, top, bottom, half in self.torso[first:last]
        ]
        self.parts.append(loft((0, 0, 0), 0.0, stations, colour, bias_m=0.01))
