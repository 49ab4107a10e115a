"""Light and weather: what the sun, the flash and the air do to neutral colours."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from edge_sdk.camera.simulated.scene import SKY_M, Site
from edge_sdk.camera.simulated.shape import Colour
from edge_sdk.camera.simulated.texture import Raster

WEATHERS = ("clear", "overcast", "fog", "rain", "snow")
SUNRISE_H, SUNSET_H = 6.0, 19.5
_FLASH_CAP = 1.0
_SUNLIT = np.diag((1.22, 1.19, 1.10)).astype(np.float32)
_SHADED = np.diag((0.74, 0.77, 0.84)).astype(np.float32)
_INFRARED = np.array([[0.42, 0.46, 0.12]], np.float32)


@dataclass(frozen=True, slots=True)
class Light:
    """The light of one moment.

    Attributes:
        mode: `day`, `dusk` or `night` (infrared flash, monochrome).
        weather: one of `WEATHERS`.
        gain: brightness per channel.
        fog_per_m: extinction of the air.
        fog_colour: what distance fades to.
        sun: metres of shadow per metre of height, across and towards the camera; None under cloud or by night.
        flash_m: distance at which the flash exposes rightly.
        noise: standard deviation of the sensor noise in levels.
        blur_s: exposure time in seconds.
        exposure: the flash picture's automatic exposure, set for the site.
    """

    mode: str
    weather: str
    gain: Colour
    fog_per_m: float
    fog_colour: Colour
    sun: tuple[float, float] | None
    flash_m: float
    noise: float
    blur_s: float
    exposure: float = 1.0

    @property
    def infrared(self) -> bool:
        """Whether the picture is monochrome."""
        return self.mode == "night"

    @property
    def reach_m(self) -> float:
        """Beyond this distance nothing can be made out."""
        clear_m = 2.0 / self.fog_per_m
        return min(clear_m, 2.0 * self.flash_m) if self.infrared else clear_m

    def subject(self, colour: Raster, distance_m: float) -> Raster:
        """Light a subject at `distance_m`: `uint8 (h, w, 3)` in, the same out."""
        if self.infrared:
            gain = flash_gain(self.flash_m, distance_m) * self.exposure
            row = np.concatenate([_INFRARED[0] * gain, [24.0 * gain]]).astype(np.float32)
            return cv2.transform(colour, np.stack([row, row, row]))
        clear = float(np.exp(-self.fog_per_m * distance_m))
        matrix = np.zeros((3, 4), np.float32)
        for channel in range(3):
            matrix[channel, channel] = self.gain[channel] * clear
            matrix[channel, 3] = self.fog_colour[channel] * (1 - clear)
        return cv2.transform(colour, matrix)

    def site(self, site: Site) -> Raster:
        """Light an empty site: `uint8 (H, W, 3)`."""
        colour = site.colour
        if self.weather == "snow":
            ground = (site.depth < 60).astype(np.float32) * 0.45
            colour = cv2.blendLinear(np.full_like(colour, 226), colour, ground, 1 - ground)
        if self.infrared:
            return self._flash(site, colour)
        lit = cv2.transform(colour, np.diag(self.gain).astype(np.float32))
        if self.sun is not None:
            bright = cv2.transform(lit, _SUNLIT)
            shaded = cv2.transform(lit, _SHADED)
            weight = site.dapple.astype(np.float32) / 255
            near = np.where(site.depth < SKY_M / 2, weight, 1.0).astype(np.float32)
            lit = cv2.blendLinear(bright, shaded, near, 1 - near)
        clear = cv2.exp(site.depth * -self.fog_per_m)
        air = np.empty_like(lit)
        air[:] = [min(int(v), 255) for v in self.fog_colour]
        if self.weather in ("overcast", "rain", "fog", "snow"):
            grey = [min(int(v * g), 255) for v, g in zip((214, 217, 222), self.gain, strict=True)]
            sky = site.depth > SKY_M / 2
            lit[sky] = (lit[sky] * 0.25 + np.array(grey) * 0.75).astype(np.uint8)
        seen: Raster = cv2.blendLinear(lit, air, clear, 1 - clear)
        return seen

    def _flash(self, site: Site, colour: Raster) -> Raster:
        grey = cv2.transform(colour, _INFRARED)
        plant = cv2.addWeighted(grey, 1.0, site.leafy, 0.10, 14.0)
        falloff = np.minimum((self.flash_m / np.maximum(site.depth, 0.1)) ** 1.4, _FLASH_CAP).astype(np.float32)
        falloff = (falloff + 0.02) * np.float32(self.exposure)
        bright = plant.astype(np.float32) * falloff * _spot(site.view.width, site.view.height)
        mist = (1 - np.exp(site.depth * -self.fog_per_m)) * (self.fog_per_m * 900)
        lit: Raster = np.clip(bright + np.minimum(mist, 70), 0, 255).astype(np.uint8)
        return np.repeat(lit[..., None], 3, axis=2)


def flash_gain(flash_m: float, distance_m: float) -> float:
    """Brightness that the flash gives at a distance, 1 where the exposure is right."""
    return float(min((flash_m / distance_m) ** 1.4, _FLASH_CAP)) + 0.02


def exposed(light: Light, site: Site) -> Light:
    """`light` with the exposure that the camera would choose at `site` by flash."""
    mean = float(cv2.mean(cv2.transform(site.colour[int(site.view.horizon_px) :], _INFRARED))[0])
    return replace(light, exposure=min(max(110.0 / max(mean, 1.0), 0.55), 1.3))


def _spot(width: int, height: int) -> Raster:
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    y = np.linspace(-0.9, 0.9, height, dtype=np.float32)[:, None]
    return np.exp(-0.55 * (x * x + y * y)).astype(np.float32) * 1.1


def light_at(hour: float, weather: str, sun_side: float, flash_m: float) -> Light:
    """The light at an hour of the day, [0, 24).

    Args:
        hour: local time.
        weather: one of `WEATHERS`.
        sun_side: where the sun stands relative to the camera, [-1, 1].
        flash_m: how far the flash of this camera reaches.
    """
    elevation = (
        float(np.sin(np.pi * (hour - SUNRISE_H) / (SUNSET_H - SUNRISE_H)))
        if SUNRISE_H <= hour <= SUNSET_H
        else -min(abs(hour - SUNRISE_H), abs(hour - SUNSET_H), 3.0) / 3
    )
    fog = {"clear": 0.0012, "overcast": 0.003, "fog": 0.055, "rain": 0.012, "snow": 0.016}[weather]
    if elevation < -0.10:
        night = Light("night", weather, (1, 1, 1), fog * 0.35, (60, 60, 60), None, flash_m, 7.0, 0.03)
        return replace(night, noise=9.0) if weather in ("fog", "rain") else night
    day = min(max((elevation + 0.10) / 0.45, 0.0), 1.0)
    cloudy = weather != "clear"
    level = 0.50 + 0.54 * day - (0.06 if cloudy else 0.0)
    warm = (1 - day) * (0.0 if cloudy else 0.12)
    cool = (1 - day) * 0.10
    gain = (level * (1 + warm - cool * 0.6), level * (1 - cool * 0.2), level * (1 - warm + cool))
    air = tuple(min(v * level * 1.05, 250.0) for v in (206, 211, 216))
    sun = (sun_side * (0.5 + 1.6 * (1 - day)), 0.35) if not cloudy and elevation > 0.12 else None
    mode = "day" if day > 0.55 else "dusk"
    return Light(
        mode,
        weather,
        gain,
        fog,
        (air[0], air[1], air[2]),
        sun,
        flash_m,
        2.2 + 5.0 * (1 - day),
        0.008 + 0.04 * (1 - day),
    )
