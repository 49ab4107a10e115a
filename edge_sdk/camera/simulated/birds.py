"""Birds on the ground and in flight: crow, pheasant, pigeon and heron shapes, in metres of body length one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edge_sdk.camera.simulated.pose import Pose
from edge_sdk.camera.simulated.shape import Colour, Glow, Panel, Solid, Tube, knee, limb, loft


@dataclass(frozen=True, slots=True)
class _Kind:
    size_m: tuple[float, float]
    back: Colour
    breast: Colour
    head: Colour
    beak: Colour
    leg: Colour
    wing: Colour
    tail_length: float
    neck_length: float
    beak_length: float
    leg_length: float
    collar: Colour | None = None


_KINDS = (
    _Kind((0.42, 0.52), (30, 31, 38), (38, 39, 46), (24, 24, 30), (40, 40, 44), (34, 32, 34),
        (22, 22, 30), 0.42, 0.10, 0.17, 0.22),
    _Kind((0.46, 0.58), (150, 84, 42), (128, 58, 34), (26, 74, 62), (214, 200, 160), (120, 110, 96),
        (134, 96, 58), 1.05, 0.20, 0.10, 0.26, (240, 240, 236)),
    _Kind((0.34, 0.42), (128, 134, 150), (156, 130, 140), (104, 112, 132), (208, 160, 110), (196, 92, 84),
        (106, 112, 128), 0.40, 0.12, 0.09, 0.17),
    _Kind((0.40, 0.50), (40, 42, 52), (234, 234, 232), (26, 26, 34), (34, 34, 36), (36, 34, 36),
        (28, 44, 74), 0.80, 0.10, 0.14, 0.24),
    _Kind((0.60, 0.75), (132, 146, 164), (226, 228, 228), (236, 236, 234), (226, 170, 66), (150, 128, 84),
        (96, 110, 134), 0.28, 0.62, 0.30, 0.62),
)  # fmt: skip


def bird(pose: Pose, rng: np.random.Generator) -> Solid:
    """A bird that stands, walks, pecks or flies."""
    kind = _KINDS[rng.integers(len(_KINDS))]
    size = float(rng.uniform(*kind.size_m))
    parts: list[Tube | Panel] = []
    flying = pose.action == "fly"
    tilt = 0.10 if flying else -0.35 + 0.1 * pose.sway if pose.action == "feed" else 0.42
    hip = 0.0 if flying else kind.leg_length + 0.10
    # The body is a teardrop around its own centre, which sits on the hips.
    body = ((-0.52, 0.03, -0.03, 0.03), (-0.40, 0.10, -0.07, 0.08), (-0.15, 0.185, -0.17, 0.16),
        (0.12, 0.20, -0.23, 0.19),
            (0.32, 0.16, -0.20, 0.15), (0.44, 0.09, -0.11, 0.10), (0.48, 0.04, -0.05, 0.05))  # fmt: skip
    centre = (0.0, hip + 0.12, 0.0)
    parts.append(loft(centre, tilt, body, kind.back))
    belly = [(s, bottom * 0.15, bottom, half * 0.92) for s, _, bottom, half in body[1:6]]
    parts.append(loft(centre, tilt, belly, kind.breast, bias_m=0.02))
    c, s = float(np.cos(tilt)), float(np.sin(tilt))

    def at(x: float, y: float, z: float = 0.0) -> tuple[float, float, float]:
        return centre[0] + x * c - y * s, centre[1] + x * s + y * c, z

    fan = 0.16 if flying else 0.07
    tail = (
        (0.0, 0.05, -0.05, 0.06),
        (kind.tail_length * 0.6, 0.035, -0.02, fan),
        (kind.tail_length, 0.01, -0.01, fan * (0.4 if kind.tail_length > 0.7 else 1.1)),
    )
    parts.append(loft(at(-0.42, 0.03), tilt * 0.7 + np.pi, tail, kind.wing, bias_m=-0.02))
    neck_angle = 0.25 if flying else -0.75 if pose.action == "feed" else 1.05
    root = at(0.34, 0.04)
    neck = kind.neck_length
    bob = 0.03 * float(np.sin(4 * np.pi * pose.phase)) if pose.action == "walk" else 0.0
    slim = 0.55 if neck > 0.4 else 1.0
    if not (flying and neck > 0.4):
        column = (
            (-0.06, 0.13, -0.14, 0.12),
            (neck * 0.5, 0.095 * slim, -0.095 * slim, 0.09 * slim),
            (neck, 0.085 * slim, -0.085 * slim, 0.085 * slim),
        )
        shades = [kind.back, kind.collar or kind.head, kind.head]
        parts.append(loft(root, neck_angle, column, shades, bias_m=0.02, turn=pose.look * 0.4))
    reach = 0.12 if flying and neck > 0.4 else neck
    skull = (
        root[0] + (reach + 0.04) * float(np.cos(neck_angle)) + bob,
        root[1] + (reach + 0.04) * float(np.sin(neck_angle)),
        reach * float(np.cos(neck_angle) * np.sin(pose.look * 0.4)),
    )
    face = 0.05 if flying else -0.9 if pose.action == "feed" else -0.05
    head = (
        (-0.11, 0.04, -0.04, 0.04),
        (-0.04, 0.10, -0.09, 0.095),
        (0.05, 0.095, -0.09, 0.09),
        (0.12, 0.04, -0.05, 0.05),
    )
    parts.append(loft(skull, face, head, kind.head, turn=pose.look, bias_m=0.04))
    beak = (
        (0.10, 0.03, -0.035, 0.03),
        (0.10 + kind.beak_length * 0.6, 0.015, -0.022, 0.015),
        (0.10 + kind.beak_length, -0.01, -0.015, 0.003),
    )
    parts.append(loft(skull, face, beak, kind.beak, turn=pose.look, bias_m=0.05))
    glows = []
    for side in (-1, 1):
        eye = np.array([skull[0] + 0.05 * np.cos(pose.look), skull[1] + 0.025, skull[2] + 0.085 * side])
        parts.append(
            limb(
                [eye, eye],
                (0.022, 0.022),
                (232, 190, 90) if kind.collar is None else (200, 40, 36),
                flat=True,
                bias_m=0.06,
            )
        )
        aim = pose.look + side * 1.1
        glows.append(Glow(eye, 0.02, np.array([np.cos(aim), 0.0, np.sin(aim)]), (235, 230, 220)))
    if flying:
        _spread_wings(parts, centre, pose.phase, kind)
    else:
        for side in (-1, 1):
            wing = (
                (-0.62, -0.02, -0.05, 0.02),
                (-0.38, 0.07, -0.06, 0.03),
                (-0.05, 0.14, -0.10, 0.04),
                (0.22, 0.12, -0.08, 0.04),
                (0.31, 0.03, -0.02, 0.02),
            )
            folded = loft(
                (centre[0], centre[1], 0.155 * side),
                tilt,
                wing,
                [kind.wing, kind.wing, kind.wing, kind.back, kind.back],
                bias_m=0.03,
            )
            parts.append(folded)
            _leg(parts, kind, pose, side)
    return Solid(tuple(parts), tuple(glows), 0.3).scaled(size)


def _leg(parts: list[Tube | Panel], kind: _Kind, pose: Pose, side: int) -> None:
    swing = (
        0.12 * float(np.sin(2 * np.pi * (pose.phase + (0.5 if side > 0 else 0.0))))
        if pose.action == "walk"
        else 0.03 * side
    )
    lift = (
        max(0.0, 0.05 * float(np.cos(2 * np.pi * (pose.phase + (0.5 if side > 0 else 0.0)))))
        if pose.action == "walk"
        else 0.0
    )
    top = (0.0, kind.leg_length + 0.02)
    foot = (0.02 + swing, lift)
    half = kind.leg_length * 0.55
    mid = knee(top, foot, half, half, -1.0)
    z = 0.07 * side
    parts.append(
        limb(
            [(*top, z), (*mid, z), (*foot, z), (foot[0] + 0.10, foot[1] + 0.005, z)],
            (0.05, 0.022, 0.018, 0.010),
            kind.leg,
            flat=True,
            side_m=0.03 * side,
        )
    )
    parts.append(limb([(*foot, z), (foot[0] - 0.05, foot[1] + 0.004, z)], (0.016, 0.008), kind.leg, flat=True))


def _spread_wings(parts: list[Tube | Panel], centre: tuple[float, float, float], phase: float, kind: _Kind) -> None:
    beat = float(np.sin(2 * np.pi * phase))
    inner, outer = 0.75 * beat + 0.18, 0.75 * float(np.sin(2 * np.pi * phase - 0.8)) + 0.05
    front = ((0.26, 0.10), (0.30, 0.50), (0.12, 0.95), (-0.06, 1.22))
    back = ((-0.20, 1.20), (-0.22, 0.95), (-0.20, 0.72), (-0.16, 0.48), (-0.22, 0.10))
    for side in (-1, 1):

        def lifted(x: float, z: float, side: int = side) -> tuple[float, float, float]:
            elbow = min(z, 0.5)
            hand = max(z - 0.5, 0.0)
            y = elbow * np.sin(inner) + hand * np.sin(outer)
            out = elbow * np.cos(inner) + hand * np.cos(outer)
            return centre[0] + x, centre[1] + 0.08 + float(y), side * float(out)

        outline = np.array([lifted(x, z) for x, z in front + back])
        parts.append(Panel(outline, kind.wing, side_m=0.10 * side))
        cover = np.array(
            [
                lifted(x * 0.9, z * 0.85)
                for x, z in (front[0], front[1], front[2], (0.02, 0.9), (0.04, 0.5), (0.0, 0.12))
            ]
        )
        parts.append(Panel(cover, kind.back, bias_m=0.01, side_m=0.10 * side))
