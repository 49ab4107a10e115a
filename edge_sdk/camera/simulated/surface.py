"""The surface of subjects: fur, cloth, rounding; and small marks on the picture: shadows, spots of light."""

from __future__ import annotations

import cv2
import numpy as np

from edge_sdk.camera.simulated.painter import Sprite, View
from edge_sdk.camera.simulated.texture import Raster, crop, fractal


def inside(x: int, y: int, shape: tuple[int, ...], view: View) -> tuple[int, int, int, int] | None:
    """The part of a patch at `(x, y)` that lies in the picture: left, top, right, bottom."""
    x0, y0, x1, y1 = max(x, 0), max(y, 0), min(x + shape[1], view.width), min(y + shape[0], view.height)
    return (x0, y0, x1, y1) if x1 - x0 > 1 and y1 - y0 > 1 else None


def darken(image: Raster, patch: Raster, x: int, y: int) -> tuple[tuple[slice, slice], Raster]:
    """Darken `image` at `(x, y)` by `patch` (255 is black); returns the region and what was there."""
    region = (slice(y, y + patch.shape[0]), slice(x, x + patch.shape[1]))
    before = image[region].copy()
    light = cv2.bitwise_not(patch)
    image[region] = cv2.multiply(before, cv2.merge([light, light, light]), scale=1 / 255)
    return region, before


def shine(image: Raster, x: float, y: float, radius: float, strength: float, colour: tuple[int, ...]) -> None:
    """Add a soft spot of light."""
    reach = int(radius * 2.2) + 2
    x0, y0 = max(int(x) - reach, 0), max(int(y) - reach, 0)
    target = image[y0 : int(y) + reach + 1, x0 : int(x) + reach + 1]
    if target.size == 0:
        return
    rows = np.arange(y0, y0 + target.shape[0])[:, None] - y
    columns = np.arange(x0, x0 + target.shape[1])[None, :] - x
    spot = np.clip(np.exp(-(rows**2 + columns**2) / (radius * radius)) * strength, 0, 1)[..., None]
    target[:] = (target + (np.array(colour) - target) * spot).clip(0, 255).astype(np.uint8)


def coat(sprite: Sprite, fur: float, seed: int) -> Raster:
    """Soften the joints between parts and lay the grain of fur or cloth over them; roughen a furry outline."""
    colour = sprite.colour
    height, width = sprite.alpha.shape
    extent = sprite.extent_px
    if fur > 0 and extent > 60:
        size = max(3, int(extent * 0.018)) | 1
        colour = cv2.GaussianBlur(colour, (size, size), 0)
    tile = fractal(96, 4, 1, 17) if fur > 0.2 else fractal(32, 4, 1, 18)
    rng = np.random.Generator(np.random.PCG64(seed))
    zoom = max(extent / 260, 0.4)
    small = crop(tile, max(int(width / zoom), 2), max(int(height / (zoom * 0.6)), 2), rng)
    hair = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    strength = 0.30 if fur > 0.2 else 0.25 if fur > 0 else 0.10
    hair = cv2.addWeighted(hair, strength, hair, 0.0, 128 * (1 - strength))
    if fur > 0.2 and extent > 90:
        edge = cv2.blur(sprite.alpha, (3, 3) if extent < 220 else (5, 5))
        rough = cv2.addWeighted(edge, 2.2, hair, 2.0, -255.0 * 0.6 - 256.0)
        sprite.alpha = np.where(edge > 200, 255, rough).astype(np.uint8)
    return cv2.multiply(colour, cv2.merge([hair, hair, hair]), scale=1 / 128)


def rounded(colour: Raster, alpha: Raster, flash: bool) -> Raster:
    """Round the silhouette: top edges catch the sky, undersides fall dark; the flash lights the middle."""
    radius = max(3, int(min(alpha.shape) * 0.09)) | 1
    soft = cv2.blur(alpha, (radius, radius))
    if flash:
        shade = cv2.convertScaleAbs(soft, alpha=0.38, beta=36)
    else:
        shift = max(1, radius // 3)
        up, down = np.roll(soft, -shift, axis=0), np.roll(soft, shift, axis=0)
        shade = cv2.addWeighted(up, 0.32, down, -0.32, 124.0)
    return cv2.multiply(colour, cv2.merge([shade, shade, shade]), scale=1 / 124)
