"""Puts lit subjects into a lit site and takes the picture: occlusion, shadow, eye shine, blur, weather, noise."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from edge_sdk.camera.simulated.arrivals import Actor
from edge_sdk.camera.simulated.light import Light, exposed, flash_gain
from edge_sdk.camera.simulated.painter import Place, Sprite, View, paint
from edge_sdk.camera.simulated.scene import Site, Spray
from edge_sdk.camera.simulated.shape import Solid
from edge_sdk.camera.simulated.surface import coat, darken, inside, rounded, shine
from edge_sdk.camera.simulated.texture import Raster, crop, fractal, grain, streaks
from edge_sdk.types import Image

_PHASES = 4
MIN_PIXELS = 110
"""A subject counts as visible from this many changed pixels at 640x480 on ..."""
MIN_SHARE = 0.18
"""... and from this share of its whole silhouette on ..."""
CLEAR_PIXELS, CLEAR_SHARE = 260, 0.45
"""... if it also shows either so many pixels or so much of its silhouette."""


@dataclass(frozen=True, slots=True)
class Shot:
    """One picture.

    Attributes:
        image: `uint8 (H, W, 3)` RGB.
        label: the class, if a subject is visible enough; else None.
        extent_px: the longest side of the largest visible subject.
    """

    image: Image
    label: str | None
    extent_px: float


class Renderer:
    """One site in one light; takes pictures of whoever is there."""

    def __init__(self, site: Site, light: Light) -> None:
        self.site = site
        self._swayed: dict[int, Raster] = {}
        self.relight(light)
        self._vignette = _vignette(site.view)
        self._screen = _screen(site)

    def relight(self, light: Light) -> None:
        """Change the light."""
        self.light = exposed(light, self.site)
        self._empty = self.light.site(self.site)
        self._swayed.clear()

    def shoot(self, actors: tuple[Actor, ...], rng: np.random.Generator, *, time_s: float, wind: float) -> Shot:
        """Take one picture.

        Args:
            actors: who is there, one class.
            rng: for the sensor and the weather of this picture.
            time_s: seconds that the wind has blown.
            wind: strength of the wind in [0, 1].
        """
        image = self._background(time_s, wind)
        label, extent = None, 0.0
        for actor in sorted(actors, key=lambda one: -one.place.distance_m):
            seen = self._place(image, actor)
            if seen:
                label, extent = actor.kind, max(extent, seen)
        for spray in self.site.sprays:
            self._spray(image, spray, time_s, wind)
        return Shot(self._expose(image, rng), label, extent)

    def _background(self, time_s: float, wind: float) -> Raster:
        phase = int(time_s * 1.7 * _PHASES) % _PHASES if wind > 0.15 else 0
        if phase not in self._swayed:
            self._swayed[phase] = _sway(self._empty, self.site, phase, wind) if phase else self._empty
        return self._swayed[phase].copy()

    def _place(self, image: Raster, actor: Actor) -> float:
        view, light, place = self.site.view, self.light, actor.place
        solid = actor.solid()
        sprite = paint(solid, view, place)
        if sprite is None:
            return 0.0
        box = inside(sprite.x, sprite.y, sprite.alpha.shape, view)
        if box is None:
            return 0.0
        x0, y0, x1, y1 = box
        cut = (slice(y0 - sprite.y, y1 - sprite.y), slice(x0 - sprite.x, x1 - sprite.x))
        colour = coat(sprite, solid.fur, actor.seed)
        colour = rounded(colour, sprite.alpha, light.infrared)
        colour = light.subject(colour, place.distance_m)
        alpha = sprite.alpha
        blur = min(actor.speed_px * light.blur_s, 0.09 * sprite.extent_px)
        if blur > 1.5:
            size = (int(blur) | 1, 1)
            # Colour beyond the outline is the subject's own mean, so blurring it needs no premultiplication.
            colour, alpha = cv2.blur(colour, size), cv2.blur(alpha, size)
        colour, alpha = colour[cut], alpha[cut]
        before = image[y0:y1, x0:x1].copy()
        shadowed = self._shadow(image, actor, solid)
        ahead = cv2.blur(_beyond(self.site.depth[y0:y1, x0:x1], place.distance_m - 0.25), (3, 3))
        mask = cv2.multiply(alpha, ahead, scale=1 / 255)
        target = image[y0:y1, x0:x1]
        under = target.copy()
        weights = cv2.merge([mask, mask, mask])
        over = cv2.add(
            cv2.multiply(colour, weights, scale=1 / 255), cv2.multiply(under, cv2.bitwise_not(weights), scale=1 / 255)
        )
        changed: Raster = cv2.transform(cv2.absdiff(over, before), np.full((1, 3), 0.45, np.float32))
        changed[(mask < 96) | (self._screen[y0:y1, x0:x1] > 128)] = 0
        visible = int(np.count_nonzero(changed > 14 + light.noise * 1.6))
        unit = view.height * view.width / (640 * 480)
        share = visible / max(sprite.area_px, 1.0)
        clear = visible >= CLEAR_PIXELS * unit or share >= CLEAR_SHARE
        if visible < MIN_PIXELS * unit or share < MIN_SHARE or not clear:
            for region, pixels in shadowed:
                image[region] = pixels
            return 0.0
        target[:] = over
        self._glow(image, sprite, mask, (x0, y0), place)
        return sprite.extent_px

    def _shadow(self, image: Raster, actor: Actor, solid: Solid) -> list[tuple[tuple[slice, slice], Raster]]:
        """Darken the ground below; returns what was there before."""
        view, place = self.site.view, actor.place
        if self.light.infrared or place.lift_m > 0.3:
            return []
        saved = []
        air = float(np.exp(-self.light.fog_per_m * place.distance_m))
        sun = self.light.sun
        half = actor.stance_m * 0.5
        reach = half * (0.3 + 0.8 * abs(float(np.cos(place.heading))))
        scale = view.focal_px / place.distance_m
        x, y = view.column(place.across_m, place.distance_m), view.row(place.distance_m)
        wide, high = int(reach * scale), int(max(reach * scale * view.eye_m / place.distance_m * 0.55, 1.5))
        soft = max(2, high) | 1
        box = inside(int(x - wide - soft), int(y - high - soft), (2 * (high + soft), 2 * (wide + soft)), view)
        if box is not None:
            x0, y0, x1, y1 = box
            patch: Raster = np.zeros((y1 - y0, x1 - x0), np.uint8)
            cv2.ellipse(
                patch,
                (int(x) - x0, int(y) - y0),
                (wide, high),
                0,
                0,
                360,
                (110 if sun is None else 90) * air,
                -1,
                cv2.LINE_AA,
            )
            saved.append(darken(image, cv2.blur(patch, (soft, soft)), x0, y0))
        if sun is not None and scale * actor.stance_m > 24:
            cast = paint(solid, view, place, sun=sun, margin=0)
            if cast is not None:
                part = inside(cast.x, cast.y, cast.alpha.shape, view)
                if part is not None:
                    x0, y0, x1, y1 = part
                    patch = cv2.convertScaleAbs(
                        cast.alpha[y0 - cast.y : y1 - cast.y, x0 - cast.x : x1 - cast.x], alpha=0.45
                    )
                    ahead = _beyond(self.site.depth[y0:y1, x0:x1], place.distance_m - 1.2)
                    saved.append(darken(image, cv2.bitwise_and(cv2.blur(patch, (5, 5)), ahead), x0, y0))
        return saved[::-1]

    def _glow(self, image: Raster, sprite: Sprite, mask: Raster, corner: tuple[int, int], place: Place) -> None:
        dark = self.light.infrared or self.light.mode == "dusk"
        if not dark:
            return
        for x, y, radius, towards, colour in sprite.glows:
            lamp = radius * place.distance_m / self.site.view.focal_px > 0.05
            if not self.light.infrared and not lamp:
                continue
            column, row = int(x) - corner[0], int(y) - corner[1]
            if not (0 <= row < mask.shape[0] and 0 <= column < mask.shape[1]) or mask[row, column] < 60:
                continue
            tint = (250, 250, 250) if self.light.infrared else tuple(int(v) for v in colour)
            strength = towards if lamp else towards * min(flash_gain(self.light.flash_m, place.distance_m * 0.6), 1.0)
            size = max(radius * (3.0 if lamp else 1.6), 1.2)
            shine(image, x, y, size, strength, tint)
            if lamp:
                shine(image, x, y, size * 4, strength * 0.35, tint)

    def _spray(self, image: Raster, spray: Spray, time_s: float, wind: float) -> None:

        high, wide = spray.alpha.shape
        lean = (0.02 + 0.10 * wind) * float(np.sin(time_s * 2.1 + spray.phase)) + 0.04 * wind * float(
            np.sin(time_s * 5.3 + spray.phase * 2)
        )
        root = 0.0 if spray.from_top else float(high)
        matrix = np.array([[1, lean, -lean * root], [0, 1, 0]], np.float64)
        alpha = cv2.warpAffine(spray.alpha, matrix, (wide, high))
        box = inside(spray.x, spray.y, (high, wide), self.site.view)
        if box is None:
            return
        x0, y0, x1, y1 = box
        cut = (slice(y0 - spray.y, y1 - spray.y), slice(x0 - spray.x, x1 - spray.x))
        colour = self.light.subject(
            np.ascontiguousarray(spray.colour[cut]),
            max(spray.distance_m, self.light.flash_m * 0.9) if self.light.infrared else spray.distance_m,
        )
        weights = cv2.merge([np.ascontiguousarray(alpha[cut])] * 3)
        target = image[y0:y1, x0:x1]
        target[:] = cv2.add(
            cv2.multiply(colour, weights, scale=1 / 255), cv2.multiply(target, cv2.bitwise_not(weights), scale=1 / 255)
        )

    def _expose(self, image: Raster, rng: np.random.Generator) -> Image:
        view, light = self.site.view, self.light
        if light.weather in ("rain", "snow"):
            flakes = crop(streaks(light.weather), view.width, view.height, rng)
            level = 0.75 if light.infrared else 0.55
            flakes = cv2.convertScaleAbs(flakes, alpha=level if light.weather == "snow" else 0.5 * level + 0.1)
            image = cv2.add(image, cv2.merge([flakes, flakes, flakes]))
        image = cv2.multiply(image, self._vignette, scale=1 / 255)
        bank = grain(not light.infrared)
        if view.width > bank.shape[1] or view.height > bank.shape[0]:
            bank = cv2.resize(bank, (view.width, view.height))
        y, x = int(rng.integers(bank.shape[0] - view.height + 1)), int(rng.integers(bank.shape[1] - view.width + 1))
        share = light.noise / 32
        noise = bank[y : y + view.height, x : x + view.width]
        exposed_image: Raster = cv2.addWeighted(image, 1.0, noise, share, -128 * share)
        return exposed_image


def _screen(site: Site) -> Raster:
    """What the sprays hide, `uint8 (H, W)`, with the wind at rest."""
    hidden: Raster = np.zeros((site.view.height, site.view.width), np.uint8)
    for spray in site.sprays:
        box = inside(spray.x, spray.y, spray.alpha.shape, site.view)
        if box is not None:
            x0, y0, x1, y1 = box
            part = spray.alpha[y0 - spray.y : y1 - spray.y, x0 - spray.x : x1 - spray.x]
            hidden[y0:y1, x0:x1] = np.maximum(hidden[y0:y1, x0:x1], part)
    return hidden


def _beyond(depth: Raster, distance_m: float) -> Raster:
    """255 where the site lies farther than `distance_m`."""
    return (depth > distance_m).astype(np.uint8) * 255


def _sway(image: Raster, site: Site, phase: int, wind: float) -> Raster:
    view = site.view
    gust = fractal(12, 2, 1, 19)[: view.height, : view.width]
    if gust.shape != site.leafy.shape:
        gust = cv2.resize(fractal(12, 2, 1, 19), (view.width, view.height))
    angle = (gust.astype(np.float32) - 128) * 0.05 + phase * (2 * np.pi / _PHASES)
    move = np.sin(angle) * site.leafy.astype(np.float32) * (2.6 * wind / 255)
    columns = np.arange(view.width, dtype=np.float32)[None, :] + move
    rows = np.arange(view.height, dtype=np.float32)[:, None] + move * 0.3
    return cv2.remap(image, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _vignette(view: View) -> Raster:
    x = np.linspace(-1, 1, view.width)[None, :]
    y = np.linspace(-0.8, 0.8, view.height)[:, None]
    fall = np.clip(255 * (1.02 - 0.20 * (x * x + y * y)), 0, 255).astype(np.uint8)
    return cv2.merge([fall, fall, fall])
