"""Plants and stones painted onto a scene: each writes colour and distance, so that subjects can pass behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_sdk.camera.simulated.painter import View
from edge_sdk.camera.simulated.shape import Colour
from edge_sdk.camera.simulated.texture import Raster, crop, fractal

_SHIFT = 4


@dataclass(slots=True)
class Canvas:
    """What is painted on: `uint8 (H, W, 3)` RGB and `float32 (H, W)` distance in metres."""

    view: View
    colour: Raster
    depth: Raster

    def polygons(self, shapes: Sequence[NDArray[np.float64]], colour: Colour, distance_m: float) -> None:
        """Fill polygons of one colour at one distance."""
        if len(shapes) == 0:
            return
        fixed = [np.rint(np.asarray(shape) * (1 << _SHIFT)).astype(np.int32) for shape in shapes]
        cv2.fillPoly(self.colour, fixed, _tint(colour), cv2.LINE_AA, _SHIFT)
        cv2.fillPoly(self.depth, fixed, distance_m, cv2.LINE_8, _SHIFT)


def _tint(colour: Colour) -> tuple[int, int, int]:
    red, green, blue = (int(min(max(value, 0), 255)) for value in colour)
    return red, green, blue


def shade(colour: Colour, factor: float, jitter: float = 0.0) -> Colour:
    """`colour` brighter or darker; `jitter` moves it between warm and cool."""
    return colour[0] * factor * (1 + jitter), colour[1] * factor, colour[2] * factor * (1 - jitter)


def _leaves(
    centres: NDArray[np.float64], size: NDArray[np.float64], angle: NDArray[np.float64], slim: float
) -> NDArray[np.float64]:
    """Diamond leaves `(N, 4, 2)`."""
    along = np.stack([np.cos(angle), np.sin(angle)], axis=1) * size[:, None]
    across = np.stack([-np.sin(angle), np.cos(angle)], axis=1) * (size * slim)[:, None]
    return np.stack([centres - along, centres - across, centres + along, centres + across], axis=1)


def bush(
    canvas: Canvas, rng: np.random.Generator, across_m: float, distance_m: float, size_m: float, colour: Colour
) -> None:
    """A leafy bush, darker below and inside."""
    view = canvas.view
    x, y = view.column(across_m, distance_m), view.row(distance_m)
    radius = size_m * view.focal_px / distance_m
    if radius < 2:
        return
    count = int(np.clip(radius * 3.2, 30, 260))
    theta, r = rng.uniform(0, np.pi, count), np.sqrt(rng.random(count))
    centres = np.stack(
        [x + radius * r * np.cos(theta) * rng.uniform(0.8, 1.1, count), y - radius * 0.95 * r * np.sin(theta)], axis=1
    )
    dome = np.linspace(0, np.pi, 14)
    bump = rng.uniform(0.68, 0.92, 14)
    body = np.stack([x + radius * bump * np.cos(dome), y + 1 - radius * 0.9 * bump * np.sin(dome)], axis=1)
    canvas.polygons([body], shade(colour, 0.5), distance_m)
    leaf = max(radius * float(rng.uniform(0.07, 0.13)), 1.3)
    shapes = _leaves(centres, rng.uniform(0.6, 1.4, count) * leaf, rng.uniform(0, np.pi, count), 0.45)
    height = (y - centres[:, 1]) / radius
    tone = np.clip((height * 0.6 + rng.uniform(0, 0.5, count)) * 4, 0, 3.99).astype(int)
    for level in range(4):
        canvas.polygons(
            list(shapes[tone == level]), shade(colour, 0.58 + 0.2 * level, float(rng.uniform(-0.05, 0.05))), distance_m
        )


def blades(
    canvas: Canvas,
    rng: np.random.Generator,
    near_m: float,
    far_m: float,
    count: int,
    height_m: float,
    colour: Colour,
    spread_m: float | None = None,
    at_m: float = 0.0,
) -> None:
    """Grass between two distances, far ones first."""
    view = canvas.view
    bands = np.geomspace(far_m, near_m, 9)
    for outer, inner in pairwise(bands):
        middle = float(np.sqrt(outer * inner))
        number = count // 8
        distance = rng.uniform(inner, outer, number)
        half = view.width * 0.56 * distance / view.focal_px if spread_m is None else np.full(number, spread_m)
        across = at_m + rng.uniform(-1, 1, number) * half
        scale = view.focal_px / distance
        x = view.width / 2 + across * scale
        y = view.horizon_px + view.eye_m * scale + 1
        tall = np.minimum(rng.uniform(0.4, 1.2, number) * height_m * scale, 150)
        lean = rng.normal(0, 0.28, number) * tall
        wide = np.clip(0.007 * scale, 0.7, 2.8)
        shapes = np.stack(
            [
                np.stack([x - wide, y], axis=1),
                np.stack([x + lean * 0.35 - wide * 0.8, y - tall * 0.6], axis=1),
                np.stack([x + lean, y - tall], axis=1),
                np.stack([x + lean * 0.35 + wide * 0.8, y - tall * 0.6], axis=1),
                np.stack([x + wide, y], axis=1),
            ],
            axis=1,
        )
        tone = rng.integers(0, 4, number)
        for level in range(4):
            canvas.polygons(
                list(shapes[tone == level]), shade(colour, 0.62 + 0.17 * level, float(rng.uniform(-0.06, 0.10))), middle
            )


def rock(
    canvas: Canvas, rng: np.random.Generator, across_m: float, distance_m: float, size_m: float, colour: Colour
) -> None:
    """A boulder with a lit top."""
    view = canvas.view
    x, y = view.column(across_m, distance_m), view.row(distance_m)
    radius = size_m * view.focal_px / distance_m
    turn = np.linspace(0, 2 * np.pi, 11, endpoint=False)
    rough = rng.uniform(0.78, 1.05, 11)
    outline = np.stack(
        [x + radius * rough * np.cos(turn), y - radius * 0.3 - radius * 0.55 * rough * np.sin(turn)], axis=1
    )
    canvas.polygons([outline], shade(colour, 0.62), distance_m)
    top = outline * (0.8, 0.72) + (x * 0.2, (y - radius * 0.42) * 0.28)
    canvas.polygons([top], shade(colour, 0.92), distance_m)
    cap = outline * (0.5, 0.4) + (x * 0.5 - radius * 0.08, (y - radius * 0.58) * 0.6)
    canvas.polygons([cap], shade(colour, 1.08), distance_m)


def trunk(
    canvas: Canvas, rng: np.random.Generator, across_m: float, distance_m: float, radius_m: float, colour: Colour
) -> None:
    """A tree trunk that leaves the picture at the top, with bark."""
    view = canvas.view
    scale = view.focal_px / distance_m
    x, y = view.column(across_m, distance_m), view.row(distance_m)
    r = max(radius_m * scale, 1.2)
    lean = float(rng.normal(0, 0.03)) * y
    heights = np.array([0.0, 0.04, 0.15, 0.5, 1.0])
    widths = r * np.array([1.5, 1.15, 1.0, 0.9, 0.8])
    rows = y - heights * (y + 8)
    centre = x + lean * heights + rng.normal(0, 0.12, 5) * r
    outline = np.concatenate(
        [np.stack([centre - widths, rows], axis=1), np.stack([centre + widths, rows], axis=1)[::-1]]
    )
    canvas.polygons([outline], shade(colour, 0.85), distance_m)
    if r < 3:
        return
    lit = np.concatenate(
        [np.stack([centre - widths * 0.75, rows], axis=1), np.stack([centre + widths * 0.1, rows], axis=1)[::-1]]
    )
    canvas.polygons([lit], shade(colour, 1.06), distance_m)
    x0, x1 = max(int(x - 2 * r - abs(lean)), 0), min(int(x + 2 * r + abs(lean)), view.width)
    bottom = min(int(y) + 2, view.height)
    if x1 - x0 > 2 and bottom > 2:
        bark = crop(fractal(48, 4, 6), x1 - x0, bottom, rng)
        patch = canvas.colour[:bottom, x0:x1]
        textured = cv2.multiply(patch, cv2.merge([bark, bark, bark]), scale=1 / 122)
        inside = np.abs(canvas.depth[:bottom, x0:x1] - distance_m) < 1e-3
        np.copyto(patch, textured, where=inside[..., None])


def crowns(
    canvas: Canvas,
    rng: np.random.Generator,
    distance_m: float,
    colour: Colour,
    height_m: float,
    conifer: float,
    density: float = 1.0,
) -> None:
    """A row of whole trees at one distance: the edge of a wood."""
    view = canvas.view
    scale = view.focal_px / distance_m
    base = view.row(distance_m) + 2
    step = 0.30 * height_m * scale / density
    shapes: list[NDArray[np.float64]] = []
    lights: list[NDArray[np.float64]] = []
    for x in np.arange(-step, view.width + step, max(step, 3.0)):
        at = x + float(rng.normal(0, step * 0.3))
        tall = height_m * scale * float(rng.uniform(0.65, 1.15))
        if rng.random() < conifer:
            half = tall * float(rng.uniform(0.16, 0.24))
            tiers = 11
            t = np.repeat(np.arange(tiers + 1) / tiers, 2)
            wide = half * (1 - t) * np.tile((0.74, 1.0), tiers + 1) * rng.uniform(0.85, 1.15, len(t)) + 1
            left = np.stack([at - wide, base - tall * t], axis=1)
            right = np.stack([at + wide, base - tall * t], axis=1)
            shapes.append(np.concatenate([left, right[::-1]]))
        else:
            turn = np.linspace(0, 2 * np.pi, 16, endpoint=False)
            rough = rng.uniform(0.8, 1.15, 16)
            shapes.append(
                np.stack(
                    [at + tall * 0.34 * rough * np.cos(turn), base - tall * 0.55 - tall * 0.42 * rough * np.sin(turn)],
                    axis=1,
                )
            )
            for _ in range(5):
                cx, cy, cr = (
                    at + float(rng.normal(0, tall * 0.15)),
                    base - tall * float(rng.uniform(0.45, 0.9)),
                    tall * float(rng.uniform(0.06, 0.14)),
                )
                lights.append(np.stack([cx + cr * rough * np.cos(turn), cy - cr * 0.7 * rough * np.sin(turn)], axis=1))
    for number, shape in enumerate(shapes):
        canvas.polygons([shape], shade(colour, (0.85, 0.95, 1.05)[number % 3]), distance_m)
    canvas.polygons(lights, shade(colour, 1.18), distance_m)
    canvas.polygons(
        [
            np.array(
                [
                    (0, base - 0.22 * height_m * scale),
                    (view.width, base - 0.22 * height_m * scale),
                    (view.width, base),
                    (0, base),
                ]
            )
        ],
        shade(colour, 0.7),
        distance_m,
    )


def canopy(canvas: Canvas, rng: np.random.Generator, distance_m: float, reach: float, colour: Colour) -> None:
    """Twigs with leaves that hang into the picture from above."""
    view = canvas.view
    unit = view.height / 480
    clumps, each = int(rng.integers(16, 30)), 46
    root_x = rng.uniform(-20, view.width + 20, clumps)
    root_y = reach * view.height * rng.random(clumps) ** 1.4
    for x, y in zip(root_x, root_y, strict=True):
        sag = float(rng.uniform(-60, 60)) * unit
        twig = np.array([(x + sag - 1.2, -5), (x + sag + 1.2, -5), (x + 0.8, y + 12 * unit), (x - 0.8, y + 12 * unit)])
        canvas.polygons([twig], (62, 52, 40), distance_m)
    x = np.repeat(root_x, each) + rng.normal(0, 30 * unit, clumps * each)
    y = np.repeat(root_y, each) + rng.normal(0, 16 * unit, clumps * each)
    size = rng.uniform(2.0, 5.5, clumps * each) * unit
    shapes = _leaves(np.stack([x, y], axis=1), size, rng.uniform(0, np.pi, clumps * each), 0.5)
    tone = rng.integers(0, 4, clumps * each)
    for level in range(4):
        leaf = shade(colour, 0.55 + 0.2 * level, float(rng.uniform(-0.05, 0.08)))
        canvas.polygons(list(shapes[tone == level]), leaf, distance_m)
