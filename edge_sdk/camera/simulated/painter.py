"""Projects solids and paints them into small pictures with an alpha mask.

Parts are sorted by depth, so every heading from profile to head-on comes from one description.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from edge_sdk.camera.simulated.shape import Colour, Floats, Panel, Solid, Tube
from edge_sdk.camera.simulated.texture import Raster

_RIM = 12
_ANGLES = np.arange(_RIM) * (2 * np.pi / _RIM)
_COS, _SIN = np.cos(_ANGLES), np.sin(_ANGLES)
# From the shadow side to the lit side of a round part: radius, shift towards the light, brightness.
_PASSES = ((1.0, 0.0, 0.72), (0.78, 0.16, 0.93), (0.46, 0.36, 1.1))
_FLAT = ((1.0, 0.0, 1.0),)
_SOFT = ((1.0, 0.0, 0.9), (0.6, 0.2, 1.02))
_SHIFT = 4


@dataclass(frozen=True, slots=True)
class View:
    """A pinhole camera over flat ground.

    Attributes:
        width: picture width in pixels.
        height: picture height in pixels.
        focal_px: focal length in pixels.
        horizon_px: row of the horizon.
        eye_m: height of the lens above the ground in metres.
    """

    width: int
    height: int
    focal_px: float
    horizon_px: float
    eye_m: float

    def row(self, distance_m: float) -> float:
        """Row where the ground at `distance_m` appears."""
        return self.horizon_px + self.focal_px * self.eye_m / distance_m

    def column(self, across_m: float, distance_m: float) -> float:
        """Column of a point `across_m` to the right of the axis at `distance_m`."""
        return self.width / 2 + self.focal_px * across_m / distance_m


@dataclass(frozen=True, slots=True)
class Place:
    """Where a subject stands.

    Attributes:
        across_m: metres to the right of the camera's axis.
        distance_m: metres away.
        heading: radians; 0 faces right, pi/2 the camera.
        lift_m: metres off the ground.
    """

    across_m: float
    distance_m: float
    heading: float
    lift_m: float = 0.0


@dataclass(slots=True)
class Sprite:
    """A painted subject.

    Attributes:
        x: column of its left edge.
        y: row of its top edge.
        colour: `uint8 (h, w, 3)` RGB.
        alpha: `uint8 (h, w)`.
        extent_px: its longest side, the part beyond the picture included.
        area_px: its whole area.
        glows: `(x, y, radius, strength, colour)` of what shines towards the camera.
    """

    x: int
    y: int
    colour: Raster
    alpha: Raster
    extent_px: float
    area_px: float
    glows: list[tuple[float, float, float, float, Colour]]


class _Projector:
    def __init__(self, view: View, place: Place, sun: tuple[float, float] | None = None) -> None:
        self.view, self.place, self.sun = view, place, sun
        self.c, self.s = float(np.cos(place.heading)), float(np.sin(place.heading))
        self.right = np.array([self.c, 0.0, -self.s])

    def __call__(self, points: Floats) -> tuple[Floats, Floats]:
        """Pixels `(..., 2)` and nearness to the camera in metres `(...)`."""
        x, y, z = points[..., 0], points[..., 1] + self.place.lift_m, points[..., 2]
        across = x * self.c - z * self.s
        near = x * self.s + z * self.c
        if self.sun is not None:
            across, near, y = across + y * self.sun[0], near + y * self.sun[1], np.zeros_like(y)
        scale = self.view.focal_px / np.maximum(self.place.distance_m - near, 0.35)
        pixels = np.empty((*x.shape, 2))
        pixels[..., 0] = self.view.width / 2 + scale * (self.place.across_m + across)
        pixels[..., 1] = self.view.horizon_px + scale * (self.view.eye_m - y)
        return pixels, near


def _rings(tube: Tube, project: _Projector, radius: float, shift: float) -> Floats:
    up = tube.up * radius
    if tube.side is None:
        side = project.right * np.linalg.norm(up, axis=1, keepdims=True)
        centre = tube.centre + tube.up * shift
    else:
        side = tube.side * radius
        # Light falls from above: the shift must go up whatever way the section leans.
        lift = np.where(tube.up[:, 1:2] >= 0, 1.0, -1.0)
        centre = tube.centre + tube.up * (shift * lift)
    rings = centre[:, None, :] + up[:, None, :] * _COS[None, :, None] + side[:, None, :] * _SIN[None, :, None]
    return project(rings)[0]


def _clip(value: float) -> int:
    return 0 if value < 0 else 255 if value > 255 else int(value)


def paint(
    solid: Solid, view: View, place: Place, *, sun: tuple[float, float] | None = None, margin: int = 12
) -> Sprite | None:
    """Project and paint `solid`; None where it lies wholly outside the picture.

    Args:
        solid: the posed subject.
        view: the camera.
        place: where it stands.
        sun: paints the shadow on the ground instead: its metres per metre of height, across and towards the camera.
        margin: how far beyond the picture's edge to paint, in pixels.
    """
    project = _Projector(view, place, sun)
    outlines: list[Floats] = []
    depths: list[float] = []
    for part in solid.parts:
        if isinstance(part, Panel):
            pixels, near = project(part.points)
            outlines.append(pixels)
        else:
            outlines.append(_rings(part, project, 1.0, 0.0))
            near = part.centre[:, 0] * project.s + part.centre[:, 2] * project.c
        depths.append(float(near.mean()) + part.bias_m + part.side_m * project.c)
    points = np.concatenate([outline.reshape(-1, 2) for outline in outlines])
    low, high = points.min(axis=0), points.max(axis=0)
    extent = float(max(high - low))
    x0, y0 = max(int(low[0]) - 3, -margin), max(int(low[1]) - 3, -margin)
    x1, y1 = min(int(high[0]) + 4, view.width + margin), min(int(high[1]) + 4, view.height + margin)
    if x1 - x0 < 4 or y1 - y0 < 4:
        return None
    fine = 1 if sun is not None or extent > 300 else 2 if extent > 110 else 3 if extent > 45 else 4
    line = cv2.LINE_AA if fine == 1 else cv2.LINE_8
    canvas: Raster = np.empty(((y1 - y0) * fine, (x1 - x0) * fine, 4), np.uint8)
    canvas[:] = (*_mean_colour(solid), 0)
    origin = np.array([x0, y0], dtype=np.float64)
    steps = _PASSES if extent > 90 else ((1.0, 0.0, 0.8), (0.66, 0.22, 1.05)) if extent > 45 else ((1.0, 0.0, 0.95),)

    unit = float(fine << _SHIFT)
    for index in np.argsort(depths, kind="stable"):
        part, outline = solid.parts[index], outlines[index]
        if isinstance(part, Panel):
            fixed = np.rint((outline - origin) * unit).astype(np.int32)
            cv2.fillPoly(canvas, [fixed], (*map(_clip, part.colour), 255), line, _SHIFT)
            continue
        small = float(np.ptp(outline, axis=(0, 1)).max()) < 9 or len(part.colour) > 8 > extent / 8
        plain = sun is not None or part.flat or small
        for radius, shift, bright in _FLAT if plain else _SOFT if part.soft else steps:
            rings = outline if radius == 1.0 else _rings(part, project, radius, shift)
            fixed = np.rint((rings - origin) * unit).astype(np.int32)
            pairs = np.concatenate([fixed[:-1], fixed[1:]], axis=1)
            tints = np.clip(part.colour * bright, 0, 255).tolist()
            for pair, (red, green, blue) in zip(pairs, tints[1:], strict=True):
                cv2.fillConvexPoly(canvas, cv2.convexHull(pair), (red, green, blue, 255), line, _SHIFT)
    if fine > 1:
        canvas = cv2.resize(canvas, (x1 - x0, y1 - y0), interpolation=cv2.INTER_AREA)
    alpha = np.ascontiguousarray(canvas[..., 3])
    whole = max(float(np.prod(high - low)), 1.0)
    inside = float((min(high[0], x1) - max(low[0], x0)) * (min(high[1], y1) - max(low[1], y0)))
    area = float(cv2.sumElems(alpha)[0]) / 255 * max(whole / max(inside, 1.0), 1.0)
    return Sprite(x0, y0, np.ascontiguousarray(canvas[..., :3]), alpha, extent, area, _shining(solid, project))


def _mean_colour(solid: Solid) -> tuple[int, int, int]:
    for part in solid.parts:
        if isinstance(part, Tube):
            red, green, blue = part.colour.mean(axis=0)
            return _clip(red), _clip(green), _clip(blue)
    return 90, 90, 90


def _shining(solid: Solid, project: _Projector) -> list[tuple[float, float, float, float, Colour]]:
    found = []
    for glow in solid.glows:
        towards = float(glow.facing[0] * project.s + glow.facing[2] * project.c)
        if towards > 0.05:
            pixels, near = project(glow.point)
            scale = project.view.focal_px / max(project.place.distance_m - float(near), 0.35)
            found.append((float(pixels[0]), float(pixels[1]), glow.radius_m * scale, towards, glow.colour))
    return found
