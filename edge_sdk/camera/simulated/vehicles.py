"""Vehicles as extruded side profiles: pickup, hatchback, off-roader, van, tractor. Metres, x forward, y up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge_sdk.camera.simulated.pose import Pose
from edge_sdk.camera.simulated.shape import Colour, Glow, Panel, Solid, Tube, limb

_PAINTS: tuple[Colour, ...] = (
    (188, 32, 30),
    (228, 228, 226),
    (38, 70, 140),
    (44, 46, 50),
    (150, 154, 158),
    (52, 92, 62),
    (206, 168, 60),
    (110, 74, 50),
)
_GLASS: Colour = (58, 74, 88)
_RUBBER: Colour = (26, 26, 28)
_RIM: Colour = (158, 160, 164)
_UNDER: Colour = (30, 30, 32)
_WHEEL_COS, _WHEEL_SIN = (
    np.cos(np.linspace(0, 2 * np.pi, 20, endpoint=False)),
    np.sin(np.linspace(0, 2 * np.pi, 20, endpoint=False)),
)


@dataclass(frozen=True, slots=True)
class _Kind:
    lower: tuple[tuple[float, float], ...]
    upper: tuple[tuple[float, float], ...]
    windows: tuple[tuple[tuple[float, float], ...], ...]
    wheels: tuple[tuple[float, float], ...]  # x, radius
    half_width: float
    roof_half_width: float
    light_y: float


_PICKUP = _Kind(
    ((-2.55, 0.55), (-2.55, 1.08), (0.30, 1.08), (1.45, 1.06), (2.30, 0.98), (2.50, 0.80), (2.52, 0.48), (-2.45, 0.45)),
    ((-0.75, 1.06), (-0.62, 1.74), (0.35, 1.76), (1.10, 1.08)),
    (((-0.60, 1.14), (-0.50, 1.62), (-0.02, 1.64), (-0.02, 1.14)), ((0.05, 1.14), (0.05, 1.64), (0.32, 1.64),
        (0.86, 1.14))),
    ((-1.55, 0.42), (1.62, 0.42)), 0.92, 0.74, 0.82,
)  # fmt: skip
_CAR = _Kind(
    ((-2.05, 0.45), (-2.08, 0.92), (-1.90, 0.98), (1.05, 0.96), (1.85, 0.84), (2.08, 0.70), (2.10, 0.40),
        (-1.95, 0.36)),
    ((-1.92, 0.96), (-1.45, 1.42), (-0.55, 1.50), (0.25, 1.45), (1.10, 0.95)),
    (((-1.62, 1.0), (-1.32, 1.33), (-0.55, 1.40), (-0.55, 1.0)), ((-0.46, 1.0), (-0.46, 1.40), (0.18, 1.36),
        (0.82, 1.0))),
    ((-1.30, 0.33), (1.32, 0.33)), 0.86, 0.66, 0.70,
)  # fmt: skip
_OFFROADER = _Kind(
    ((-2.10, 0.55), (-2.12, 1.10), (1.10, 1.10), (2.00, 1.06), (2.10, 0.90), (2.12, 0.52), (-2.05, 0.50)),
    ((-2.08, 1.08), (-2.00, 1.86), (0.55, 1.88), (0.95, 1.10)),
    (((-1.90, 1.18), (-1.86, 1.72), (-1.05, 1.73), (-1.05, 1.18)), ((-0.95, 1.18), (-0.95, 1.73), (-0.12, 1.74),
        (-0.12, 1.18)), ((-0.02, 1.18), (-0.02, 1.74), (0.50, 1.74), (0.74, 1.18))),
    ((-1.30, 0.42), (1.32, 0.42)), 0.92, 0.82, 0.88,
)  # fmt: skip
_VAN = _Kind(
    ((-2.50, 0.45), (-2.52, 1.15), (1.70, 1.12), (2.30, 1.00), (2.50, 0.82), (2.52, 0.42), (-2.45, 0.40)),
    ((-2.50, 1.12), (-2.45, 2.12), (0.90, 2.16), (1.20, 2.05), (1.95, 1.10)),
    (((0.20, 1.25), (0.20, 1.88), (1.10, 1.88), (1.62, 1.25)),),
    ((-1.60, 0.36), (1.65, 0.36)), 0.96, 0.88, 0.78,
)  # fmt: skip
_TRACTOR = _Kind(
    ((-1.30, 0.75), (-1.30, 1.25), (0.15, 1.30), (1.75, 1.32), (1.85, 1.20), (1.85, 0.72), (0.2, 0.65)),
    ((-1.25, 1.25), (-1.15, 2.45), (0.10, 2.45), (0.20, 1.28)),
    (((-1.12, 1.35), (-1.05, 2.30), (0.02, 2.30), (0.08, 1.35)),),
    ((-0.85, 0.80), (1.30, 0.48)), 0.55, 0.62, 1.08,
)  # fmt: skip
_KINDS = (_PICKUP, _CAR, _OFFROADER, _VAN, _TRACTOR)


def _wall(
    points: Sequence[tuple[float, float]], z: float, bottom_z: float | None = None, split_y: float = 0.0
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """A side face at `z`; above `split_y` it leans in from `bottom_z`."""
    base = z if bottom_z is None else bottom_z
    top = max(y for _, y in points)
    depth = [base + (z - base) * min(max((y - split_y) / max(top - split_y, 1e-6), 0.0), 1.0) for _, y in points]
    return np.array([(x, y, d) for (x, y), d in zip(points, depth, strict=True)])


def _tone(colour: Colour, factor: float) -> Colour:
    return colour[0] * factor, colour[1] * factor, colour[2] * factor


def vehicle(pose: Pose, rng: np.random.Generator) -> Solid:
    """A vehicle; its wheels turn with `pose.phase`."""
    kind = _KINDS[rng.integers(len(_KINDS))]
    paint = _PAINTS[rng.integers(len(_PAINTS))]
    parts: list[Tube | Panel] = []
    w, r = kind.half_width, kind.roof_half_width
    _shell(parts, kind.lower, w, w, paint, 0.0)
    _shell(parts, kind.upper, r, w * 0.96, paint, 0.25, glass=True)
    split = kind.upper[0][1]
    for side in (-1.0, 1.0):
        for window in kind.windows:
            top = kind.upper[1][1]
            z_bottom = side * (w * 0.96 + 0.012)
            face = _wall(
                window,
                side * (r + 0.012 + (w - r) * (top - max(y for _, y in window)) / (top - split)),
                z_bottom,
                split,
            )
            parts.append(Panel(face, _GLASS, side_m=0.36 * side, bias_m=0.3))
        strip = [(x, y) for x, y in kind.lower if y < 0.8]
        if len(strip) >= 3:
            parts.append(Panel(_wall(strip, side * (w + 0.006)), _tone(paint, 0.62), side_m=0.03 * side))
        for x, radius in kind.wheels:
            _wheel(parts, x, radius, side * (w - 0.02 if kind is not _TRACTOR else w + 0.25), pose.phase, side)
    glows = []
    nose = max(x for x, _ in kind.lower)
    back = min(x for x, _ in kind.lower)
    for side in (-1.0, 1.0):
        z = side * w * 0.72
        lamp = np.array(
            [
                (nose - 0.01, kind.light_y - 0.10, z - 0.16),
                (nose - 0.02, kind.light_y + 0.09, z - 0.16),
                (nose - 0.02, kind.light_y + 0.09, z + 0.16),
                (nose - 0.01, kind.light_y - 0.10, z + 0.16),
            ]
        )
        parts.append(Panel(lamp, (238, 236, 214), bias_m=0.9))
        rear = lamp.copy()
        rear[:, 0] = back - 0.01
        parts.append(Panel(rear, (176, 24, 22), bias_m=0.9))
        glows.append(Glow(np.array([nose + 0.03, kind.light_y, z]), 0.17, np.array([1.0, 0.0, 0.0]), (255, 250, 225)))
        glows.append(Glow(np.array([back - 0.03, kind.light_y, z]), 0.07, np.array([-1.0, 0.0, 0.0]), (255, 60, 40)))
    return Solid(tuple(parts), tuple(glows), 0.0)


def _shell(
    parts: list[Tube | Panel],
    profile: Sequence[tuple[float, float]],
    half_top: float,
    half_bottom: float,
    paint: Colour,
    bias: float,
    glass: bool = False,
) -> None:
    split = profile[0][1]
    top = max(y for _, y in profile)

    def z_at(y: float) -> float:
        return (
            half_bottom + (half_top - half_bottom) * min(max((y - split) / (top - split), 0.0), 1.0)
            if glass
            else half_top
        )

    count = len(profile)
    for i in range(count):
        (x0, y0), (x1, y1) = profile[i], profile[(i + 1) % count]
        if glass and i == count - 1:
            continue
        length = float(np.hypot(x1 - x0, y1 - y0))
        # Outward normal of a profile that runs clockwise from the rear.
        nx, ny = -(y1 - y0) / length, (x1 - x0) / length
        steep = abs(nx) > 0.45
        bright = 0.72 + 0.42 * max(ny, 0.0) - 0.15 * max(-ny, 0.0)
        colour = _GLASS if glass and steep else _UNDER if ny < -0.5 else _tone(paint, bright)
        z0, z1 = z_at(y0), z_at(y1)
        quad = np.array([(x0, y0, -z0), (x0, y0, z0), (x1, y1, z1), (x1, y1, -z1)])
        # Faces at the ends sort by their own depth; the roof goes below the near side.
        parts.append(Panel(quad, colour, bias_m=bias + (0.10 if abs(nx) > 0.45 else -0.2)))
    for side in (-1.0, 1.0):
        outline = [(x, y, side * z_at(y)) for x, y in profile]
        parts.append(Panel(np.array(outline), _tone(paint, 0.92), bias_m=bias, side_m=0.30 * side))


def _wheel(parts: list[Tube | Panel], x: float, radius: float, z: float, phase: float, side: float) -> None:
    arch = np.stack(
        [
            x + radius * 1.2 * _WHEEL_COS,
            np.maximum(radius + radius * 1.2 * _WHEEL_SIN, 0.3),
            np.full(20, z + side * 0.025),
        ],
        axis=1,
    )
    if radius < 0.7:
        parts.append(Panel(arch, (20, 20, 22), side_m=0.40 * side))
    for scale, colour, inner, outer in (
        (1.0, _RUBBER, -0.22, 0.03),
        (0.60, _RIM, 0.03, 0.035),
        (0.20, (70, 72, 76), 0.035, 0.04),
    ):
        centre = np.array([(x, radius, z + side * inner), (x, radius, z + side * outer)])
        up = np.array([(0.0, radius * scale, 0.0)] * 2)
        along = np.array([(radius * scale, 0.0, 0.0)] * 2)
        parts.append(
            Tube(centre, up, along, np.array([colour] * 2, dtype=np.float64), flat=True, side_m=(0.45 + outer) * side)
        )
    for spoke in range(5):
        a = 2 * np.pi * (spoke / 5 + phase)
        tip = (x + radius * 0.5 * float(np.cos(a)), radius + radius * 0.5 * float(np.sin(a)), z + side * 0.04)
        parts.append(
            limb([(x, radius, z + side * 0.04), tip], (0.03, 0.02), (92, 94, 98), flat=True, side_m=0.5 * side)
        )
