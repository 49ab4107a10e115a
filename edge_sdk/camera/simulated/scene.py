"""A site: what the camera sees when nobody is there, as colour in neutral light and distance per pixel."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from edge_sdk.camera.simulated.painter import View
from edge_sdk.camera.simulated.shape import Colour
from edge_sdk.camera.simulated.texture import Raster, crop, fractal, generator
from edge_sdk.camera.simulated.vegetation import Canvas, blades, bush, canopy, crowns, rock, shade, trunk

KINDS = ("forest", "meadow", "track", "heath", "stream", "snow")
SKY_M = 4000.0


@dataclass(frozen=True, slots=True)
class Spray:
    """Vegetation right before the lens: a premultiplied picture with alpha, its place, and how it moves in the wind."""

    colour: Raster
    alpha: Raster
    x: int
    y: int
    from_top: bool
    phase: float
    distance_m: float


@dataclass(frozen=True, slots=True)
class Site:
    """One camera position.

    Attributes:
        kind: one of `KINDS`.
        view: the camera.
        colour: `uint8 (H, W, 3)` RGB, the scene in neutral light, without the sprays.
        depth: `float32 (H, W)` metres to what each pixel shows.
        leafy: `uint8 (H, W)`, how much the wind moves each pixel.
        dapple: `uint8 (H, W)`, patches of direct sun (255) and shade.
        sprays: what hangs or stands before the lens.
    """

    kind: str
    view: View
    colour: Raster
    depth: Raster
    leafy: Raster
    dapple: Raster
    sprays: tuple[Spray, ...]


_GROUND: dict[str, tuple[Colour, Colour]] = {
    "forest": ((112, 92, 62), (84, 92, 48)),
    "meadow": ((108, 124, 60), (140, 138, 78)),
    "track": ((100, 112, 58), (120, 112, 72)),
    "heath": ((128, 110, 76), (104, 88, 78)),
    "stream": ((104, 108, 70), (118, 110, 88)),
    "snow": ((222, 226, 232), (196, 204, 216)),
}
_LEAF: dict[str, tuple[Colour, ...]] = {
    "forest": ((70, 96, 44), (58, 84, 46), (96, 104, 50)),
    "meadow": ((92, 118, 50), (116, 126, 58), (80, 104, 48)),
    "track": ((82, 108, 48), (66, 92, 44), (110, 112, 52)),
    "heath": ((110, 96, 62), (96, 84, 70), (120, 110, 66)),
    "stream": ((84, 112, 56), (74, 100, 60), (104, 116, 66)),
    "snow": ((96, 90, 76), (70, 82, 66), (116, 104, 86)),
}


def make_site(seed: int, width: int, height: int) -> Site:
    """Paint the site of `seed`."""
    rng = generator(21, seed)
    kind = KINDS[int(rng.choice(len(KINDS), p=(0.26, 0.18, 0.22, 0.12, 0.12, 0.10)))]
    view = View(
        width,
        height,
        width * float(rng.uniform(0.85, 1.05)),
        height * float(rng.uniform(0.26, 0.42)),
        float(rng.uniform(0.65, 1.15)),
    )
    canvas = Canvas(view, np.zeros((height, width, 3), np.uint8), np.full((height, width), SKY_M, np.float32))
    leaf = _LEAF[kind][int(rng.integers(3))]
    _sky(canvas, rng)
    _far(canvas, rng, kind, leaf)
    _ground(canvas, rng, kind)
    _plants(canvas, rng, kind, leaf)
    leafy = _leafiness(canvas)
    dapple = cv2.GaussianBlur(crop(fractal(10, 3, 1, 3), width, height, rng), (0, 0), 2.0)
    dapple = cv2.convertScaleAbs(dapple, alpha=3.2, beta=-300.0 if kind == "forest" else -180.0)
    sprays = tuple(_spray(view, rng, leaf) for _ in range(int(rng.integers(1, 4))))
    return Site(kind, view, canvas.colour, canvas.depth, leafy, dapple, sprays)


def _sky(canvas: Canvas, rng: np.random.Generator) -> None:
    view = canvas.view
    rows = np.linspace(0, 1, view.height)[:, None, None]
    top, low = np.array((150, 178, 212)), np.array((214, 222, 228))
    canvas.colour[:] = (top + (low - top) * np.clip(rows * 2.2, 0, 1)).astype(np.uint8)
    clouds = crop(fractal(6, 4, 1, 5), view.width, view.height, rng)
    soft = cv2.convertScaleAbs(clouds, alpha=0.5)
    canvas.colour[:] = cv2.addWeighted(canvas.colour, 0.82, cv2.merge([soft, soft, soft]), 0.5, 4.0)


def _far(canvas: Canvas, rng: np.random.Generator, kind: str, leaf: Colour) -> None:
    conifer = float(rng.choice((0.0, 0.3, 0.9)))
    haze = (172.0, 186.0, 196.0)

    def hazed(share: float) -> Colour:
        return tuple(c * 0.75 * (1 - share) + h * share for c, h in zip(leaf, haze, strict=True))  # type: ignore[return-value]

    view = canvas.view
    ridge_x = np.linspace(0, view.width, 12)
    ridge_y = view.horizon_px - view.height * rng.uniform(0.02, 0.14, 12)
    hill = np.concatenate(
        [np.stack([ridge_x, ridge_y], axis=1), [(view.width, view.horizon_px + 4), (0, view.horizon_px + 4)]]
    )
    canvas.polygons([hill], hazed(0.62), 900.0)
    crowns(canvas, rng, 160.0, hazed(0.40), float(rng.uniform(12, 22)), conifer)
    crowns(canvas, rng, 85.0, hazed(0.22), float(rng.uniform(9, 16)), conifer)
    if kind in ("forest", "snow", "track"):
        crowns(canvas, rng, 62.0, hazed(0.12), float(rng.uniform(9, 16)), conifer)
    # Leaves too small to draw: mottle the wood, and let the air take its edges.
    band = slice(0, int(view.horizon_px) + 3)
    mottle = crop(fractal(128, 3, 1, 6), view.width, int(view.horizon_px) + 3, rng)
    mottle = np.where(canvas.depth[band] < SKY_M, mottle, 128).astype(np.uint8)
    mottle = cv2.addWeighted(mottle, 0.55, mottle, 0.0, 128 * 0.45)
    wood = cv2.multiply(canvas.colour[band], cv2.merge([mottle, mottle, mottle]), scale=1 / 128)
    canvas.colour[band] = cv2.GaussianBlur(wood, (3, 3), 0.8)


def _ground(canvas: Canvas, rng: np.random.Generator, kind: str) -> None:
    view = canvas.view
    first = int(view.horizon_px) + 2
    rows = np.arange(first, view.height, dtype=np.float32)
    distance = view.focal_px * view.eye_m / (rows - view.horizon_px)
    np.minimum(canvas.depth[first:], distance[:, None], out=canvas.depth[first:])
    one, two = (np.array(c, np.float32) for c in _GROUND[kind])
    mix = _on_ground(view, fractal(8, 4, 1, 9), 26.0)[first:]
    fine = _on_ground(view, fractal(64, 4, 1, 10), 170.0)[first:]
    sharp = _on_ground(view, fractal(200, 2, 1, 16), 420.0)[first:]
    fine = cv2.addWeighted(fine, 0.5, sharp, 0.4, 0.10 * 128)
    fine = cv2.addWeighted(fine, 0.62, crop(fractal(128, 3, 2, 4), view.width, view.height, rng)[first:], 0.38, 0.0)
    share = cv2.convertScaleAbs(mix, alpha=2.2, beta=-154.0)
    base = np.empty((len(rows), view.width, 3), np.uint8)
    for channel in range(3):
        table = np.clip(one[channel] + (two[channel] - one[channel]) * np.arange(256) / 255, 0, 255).astype(np.uint8)
        base[..., channel] = cv2.LUT(share, table)
    contrast = 0.45 if kind == "snow" else 1.0
    fine = cv2.convertScaleAbs(fine, alpha=contrast, beta=128 * (1 - contrast))
    canvas.colour[first:] = cv2.multiply(base, cv2.merge([fine, fine, fine]), scale=1 / 128)
    if kind == "track" or rng.random() < 0.35:
        _path(canvas, rng, wide=1.5 if kind == "track" else 0.45, pale=kind != "snow")
    if kind == "stream":
        _water(canvas, rng)


def _on_ground(view: View, tile: Raster, pixels_per_m: float) -> Raster:
    k = view.eye_m * pixels_per_m
    matrix = np.array([[k, 0, -k * view.width / 2], [0, 0, k * view.focal_px], [0, 1, -view.horizon_px]], np.float64)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpPerspective(tile, matrix, (view.width, view.height), flags=flags, borderMode=cv2.BORDER_WRAP)


def _path(canvas: Canvas, rng: np.random.Generator, wide: float, pale: bool) -> None:
    view = canvas.view
    distance = np.geomspace(1.2, 70, 40)
    start, drift, bend = float(rng.uniform(-1.5, 1.5)), float(rng.uniform(-0.5, 0.5)), float(rng.uniform(-1.5, 1.5))
    middle = start + drift * distance + bend * np.sin(distance / 9)
    soil: Colour = (150, 128, 98) if pale else (178, 178, 184)
    patch = canvas.colour.copy()
    mask: Raster = np.zeros((view.height, view.width), np.uint8)
    for side, half in ((0.0, wide),) if wide < 1 else ((-0.85, 0.42), (0.85, 0.42), (0.0, 0.35)):
        left = np.stack(
            [
                view.width / 2 + view.focal_px * (middle + side - half) / distance,
                view.horizon_px + view.focal_px * view.eye_m / distance,
            ],
            axis=1,
        )
        right = np.stack([view.width / 2 + view.focal_px * (middle + side + half) / distance, left[:, 1]], axis=1)
        outline = np.rint(np.concatenate([left, right[::-1]])).astype(np.int32)
        cv2.fillPoly(patch, [outline], tuple(int(v) for v in (soil if side or wide < 1 else shade(soil, 0.72))))
        cv2.fillPoly(mask, [outline], 235)
    mask = cv2.GaussianBlur(mask, (0, 0), 3.0)
    rough = _on_ground(view, fractal(64, 4, 1, 11), 120.0)
    patch = cv2.multiply(patch, cv2.merge([rough, rough, rough]), scale=1 / 128)
    weight = mask.astype(np.float32) / 255
    canvas.colour[:] = cv2.blendLinear(patch, canvas.colour, weight, 1 - weight)


def _water(canvas: Canvas, rng: np.random.Generator) -> None:
    view = canvas.view
    near, far = float(rng.uniform(5, 9)), float(rng.uniform(14, 24))
    xs = np.linspace(0, view.width, 14)
    upper = view.row(far) + rng.normal(0, 2, 14)
    lower = view.row(near) + rng.normal(0, 5, 14)
    outline = np.concatenate([np.stack([xs, upper], axis=1), np.stack([xs, lower], axis=1)[::-1]])
    mask: Raster = np.zeros((view.height, view.width), np.uint8)
    cv2.fillPoly(mask, [np.rint(outline).astype(np.int32)], 210)
    mask = cv2.GaussianBlur(mask, (0, 0), 1.5)
    first = int(view.horizon_px)
    mirrored = canvas.colour[max(0, 2 * first - view.height) : first][::-1]
    water = np.full_like(canvas.colour, 96)
    water[first : first + len(mirrored)] = cv2.convertScaleAbs(mirrored, alpha=0.72)
    ripples = cv2.resize(crop(fractal(64, 3, 1, 12), view.width // 4, view.height, rng), (view.width, view.height))
    water = cv2.multiply(cv2.blur(water, (5, 9)), cv2.merge([ripples] * 3), scale=1 / 128)
    weight = mask.astype(np.float32) / 255
    canvas.colour[:] = cv2.blendLinear(water, canvas.colour, weight, 1 - weight)


def _plants(canvas: Canvas, rng: np.random.Generator, kind: str, leaf: Colour) -> None:
    half = canvas.view.width / canvas.view.focal_px / 2
    wooded = {"forest": 16, "snow": 9, "track": 7, "stream": 5, "heath": 2, "meadow": 2}[kind]
    bushes = {"forest": 9, "snow": 5, "track": 9, "stream": 8, "heath": 12, "meadow": 4}[kind]
    rocks = {"forest": 3, "snow": 2, "track": 2, "stream": 8, "heath": 6, "meadow": 1}[kind]
    bark = ((98, 82, 66), (120, 108, 96), (84, 66, 52), (186, 182, 174))[int(rng.integers(4))]
    things: list[tuple[float, str]] = []
    things += [(float(d), "trunk") for d in rng.triangular(5, 14, 45, rng.poisson(wooded))]
    things += [(float(d), "bush") for d in rng.triangular(4, 10, 50, rng.poisson(bushes))]
    things += [(float(d), "rock") for d in rng.triangular(3, 6, 30, rng.poisson(rocks))]
    grass = {"forest": 0.14, "snow": 0.10, "track": 0.22, "stream": 0.26, "heath": 0.20, "meadow": 0.34}[kind] * float(
        rng.uniform(0.6, 1.3)
    )
    blade = shade(leaf, 1.12, 0.05) if kind != "snow" else (150.0, 134.0, 102.0)
    density = {"forest": 500, "snow": 160, "track": 900, "stream": 1000, "heath": 900, "meadow": 1800}[kind]
    things.append((26.0, "grass far"))
    things.append((9.0, "grass near"))
    for distance, thing in sorted(things, reverse=True):
        across = float(rng.uniform(-half, half)) * distance * 1.05
        if thing == "trunk":
            trunk(
                canvas, rng, across, distance, float(rng.uniform(0.08, 0.24)), shade(bark, float(rng.uniform(0.8, 1.1)))
            )
        elif thing == "bush":
            bush(
                canvas,
                rng,
                across,
                distance,
                float(rng.uniform(0.25, 0.9)),
                shade(leaf, float(rng.uniform(0.8, 1.15)), float(rng.uniform(-0.06, 0.1))),
            )
        elif thing == "rock":
            rock(canvas, rng, across, distance, float(rng.uniform(0.15, 0.5)), (140, 136, 128))
        elif thing == "grass far":
            blades(canvas, rng, 9.0, 30.0, density // 2, grass, blade)
        else:
            blades(canvas, rng, 1.3, 9.0, density, grass, blade)
    if kind in ("forest", "track") and rng.random() < 0.7:
        canopy(canvas, rng, 7.0, float(rng.uniform(0.08, 0.26)), leaf)


def _leafiness(canvas: Canvas) -> Raster:
    """Pixels above the bare ground at their distance are plants: they move."""
    view = canvas.view
    rows = np.arange(view.height, dtype=np.float32)
    ground = np.where(
        rows > view.horizon_px + 1, view.focal_px * view.eye_m / np.maximum(rows - view.horizon_px, 0.5), SKY_M
    )
    plant = ((canvas.depth < ground[:, None] * 0.97) & (canvas.depth < 200)).astype(np.uint8) * 255
    return cv2.GaussianBlur(plant, (0, 0), 4.0)


def _spray(view: View, rng: np.random.Generator, leaf: Colour) -> Spray:
    """A twig from the side or top, or a tuft from below, near the lens and out of focus."""
    unit = view.height / 480
    wide, high = int(rng.uniform(150, 300) * unit), int(rng.uniform(110, 240) * unit)
    from_top = rng.random() < 0.35
    near = Canvas(View(wide, high, 100, 0, 1), np.zeros((high, wide, 3), np.uint8), np.zeros((high, wide), np.float32))
    near.colour[:] = [int(v) for v in shade(leaf, 0.9)]
    count = int(rng.integers(14, 34))
    root_x = rng.uniform(0.2, 0.8, count) * wide if not from_top else np.full(count, wide * 0.5)
    for index in range(count):
        length = high * float(rng.uniform(0.45, 1.0))
        lean = float(rng.normal(0, 0.35)) * length
        x = float(root_x[index])
        y0, y1 = (0.0, length) if from_top else (float(high), high - length)
        thick = float(rng.uniform(1.5, 4.5)) * unit
        bent = np.array(
            [
                (x - thick, y0),
                (x + lean * 0.3 - thick * 0.8, y0 + (y1 - y0) * 0.6),
                (x + lean, y1),
                (x + lean * 0.3 + thick * 0.8, y0 + (y1 - y0) * 0.6),
                (x + thick, y0),
            ]
        )
        near.polygons([bent], shade(leaf, float(rng.uniform(0.6, 1.3)), float(rng.uniform(-0.05, 0.1))), 255.0)
    blur = 1.2 + 1.6 * float(rng.random())
    alpha = cv2.GaussianBlur(near.depth, (0, 0), blur * unit).astype(np.uint8)
    colour = cv2.GaussianBlur(near.colour, (0, 0), blur * unit)
    x = int(
        rng.choice((rng.uniform(-0.25, 0.05), rng.uniform(0.7, 1.0), rng.uniform(0, 0.8)), p=(0.4, 0.4, 0.2))
        * view.width
    )
    y = -int(high * 0.25) if from_top else view.height - int(high * float(rng.uniform(0.45, 0.85)))
    return Spray(colour, alpha, x, y, from_top, float(rng.uniform(0, 6.28)), 0.9)
