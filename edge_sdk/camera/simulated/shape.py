"""Solid shapes in metres: what a subject is made of.

A subject is a list of parts in its own frame: x forward, y up, z towards who sees it facing right. A `Tube` is a chain
of elliptical cross-sections (trunk, neck, head, limb); a `Panel` is a flat polygon (feather, window).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Colour = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Tube:
    """A chain of cross-sections.

    Attributes:
        centre: `(S, 3)` metres.
        up: `(S, 3)`, half the height of each section, as a vector.
        side: `(S, 3)`, half its width; None for round limbs of radius |up|.
        colour: `(S, 3)` RGB.
        flat: without rounding shades.
        bias_m: moved towards the camera for sorting only.
        side_m: moved sideways for sorting only.
        soft: with hardly a dark rim, so that it grows out of the trunk.
    """

    centre: Floats
    up: Floats
    side: Floats | None
    colour: Floats
    flat: bool = False
    bias_m: float = 0.0
    side_m: float = 0.0
    soft: bool = False


@dataclass(frozen=True, slots=True)
class Panel:
    """A flat polygon, `(N, 3)` metres; `bias_m` and `side_m` as in `Tube`."""

    points: Floats
    colour: Colour
    bias_m: float = 0.0
    side_m: float = 0.0


@dataclass(frozen=True, slots=True)
class Glow:
    """A point that shines in the unit direction `facing`: an eye in the flash, a headlight."""

    point: Floats
    radius_m: float
    facing: Floats
    colour: Colour


@dataclass(frozen=True, slots=True)
class Solid:
    """A posed subject: its parts, its glows, and how furry it is, [0, 1]."""

    parts: tuple[Tube | Panel, ...]
    glows: tuple[Glow, ...] = ()
    fur: float = 0.0

    def scaled(self, factor: float) -> Solid:
        """The same subject, `factor` times as large."""
        parts: list[Tube | Panel] = []
        for part in self.parts:
            if isinstance(part, Panel):
                parts.append(
                    replace(part, points=part.points * factor, bias_m=part.bias_m * factor, side_m=part.side_m * factor)
                )
            else:
                side = None if part.side is None else part.side * factor
                centre, up = part.centre * factor, part.up * factor
                bias_m, side_m = part.bias_m * factor, part.side_m * factor
                parts.append(replace(part, centre=centre, up=up, side=side, bias_m=bias_m, side_m=side_m))
        glows = tuple(replace(glow, point=glow.point * factor, radius_m=glow.radius_m * factor) for glow in self.glows)
        return Solid(tuple(parts), glows, self.fur)


@lru_cache(maxsize=64)
def _spline(knots: int, samples: int) -> Floats:
    """Catmull-Rom weights `(samples, knots)` of an open curve through its knots."""
    weights = np.zeros((samples, knots))
    for row, at in enumerate(np.linspace(0, knots - 1, samples)):
        k = min(int(at), knots - 2)
        t = at - k
        basis = (
            (-t + 2 * t**2 - t**3) / 2,
            (2 - 5 * t**2 + 3 * t**3) / 2,
            (t + 4 * t**2 - 3 * t**3) / 2,
            (t**3 - t**2) / 2,
        )
        for offset, weight in zip((-1, 0, 1, 2), basis, strict=True):
            weights[row, min(max(k + offset, 0), knots - 1)] += weight
    return weights


def loft(
    origin: tuple[float, float, float],
    angle: float,
    stations: Sequence[tuple[float, float, float, float]],
    colours: Sequence[Colour] | Colour,
    *,
    samples: int = 0,
    turn: float = 0.0,
    roll: float = 0.0,
    curl: float = 0.0,
    flat: bool = False,
    bias_m: float = 0.0,
) -> Tube:
    """A smooth tube along an axis in the subject's mid-plane.

    Args:
        origin: where the axis starts.
        angle: direction of the axis in radians, 0 forward, pi/2 up.
        stations: `(s, top, bottom, half_width)`: distance along the axis, signed offsets across it, half width.
        colours: one colour, or one per station.
        samples: cross-sections after smoothing; 0 picks twice the stations.
        turn: rotation about the vertical through `origin`, to the subject's right.
        roll: lean of the axis sideways.
        curl: extra bend per unit length, radians per metre.
        flat: without the rounding shades.
        bias_m: drawn as if this much nearer.
    """
    raw = np.asarray(stations, dtype=np.float64)
    weights = _spline(len(raw), samples or 2 * len(raw))
    s, top, bottom, half = (weights @ raw).T
    tint = np.asarray(colours, dtype=np.float64)
    tint = np.broadcast_to(tint, (len(s), 3)) if tint.ndim == 1 else weights @ tint
    bend = angle + curl * s / 2
    normal_at = angle + curl * s
    x = s * np.cos(bend) - (top + bottom) / 2 * np.sin(normal_at)
    y = s * np.sin(bend) + (top + bottom) / 2 * np.cos(normal_at)
    up = np.stack([-np.sin(normal_at), np.cos(normal_at), np.zeros_like(s)], axis=1) * ((top - bottom) / 2)[:, None]
    centre = np.stack([x, y, np.zeros_like(s)], axis=1)
    side = np.stack([np.zeros_like(s), np.zeros_like(s), half], axis=1)
    if roll:
        spin = np.array([[1, 0, 0], [0, np.cos(roll), -np.sin(roll)], [0, np.sin(roll), np.cos(roll)]])
        centre, up, side = centre @ spin.T, up @ spin.T, side @ spin.T
    if turn:
        spin = np.array([[np.cos(turn), 0, -np.sin(turn)], [0, 1, 0], [np.sin(turn), 0, np.cos(turn)]])
        centre, up, side = centre @ spin.T, up @ spin.T, side @ spin.T
    return Tube(centre + np.asarray(origin), up, side, tint, flat, bias_m)


def limb(
    joints: Sequence[Sequence[float] | Floats],
    radii: Sequence[float],
    colours: Sequence[Colour] | Colour,
    *,
    flat: bool = False,
    bias_m: float = 0.0,
    side_m: float = 0.0,
    soft: bool = False,
) -> Tube:
    """A chain of tapered capsules through `joints`."""
    centre = np.asarray(joints, dtype=np.float64)
    up = np.zeros_like(centre)
    up[:, 1] = radii
    tint = np.broadcast_to(np.asarray(colours, dtype=np.float64), centre.shape)
    return Tube(centre, up, None, tint, flat, bias_m, side_m, soft)


def knee(
    a: tuple[float, float], b: tuple[float, float], upper: float, lower: float, bend: float
) -> tuple[float, float]:
    """The middle joint of a two-bone limb from `a` to `b` (law of cosines); `bend` +1 puts it forward, -1 backward."""
    dx, dy = b[0] - a[0], b[1] - a[1]
    reach = max(float(np.hypot(dx, dy)), 1e-6)
    reach_used = min(reach, (upper + lower) * 0.999)
    along = (upper**2 - lower**2 + reach_used**2) / (2 * reach_used)
    off = float(np.sqrt(max(upper**2 - along**2, 0.0))) * bend
    ux, uy = dx / reach, dy / reach
    return a[0] + ux * along - uy * off, a[1] + uy * along + ux * off
