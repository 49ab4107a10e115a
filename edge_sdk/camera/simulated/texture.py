"""Noise that surfaces, weather and sensor are made of. Tiles are made once per process, always from the same seeds."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Raster = NDArray[Any]
"""Pixels, `uint8` unless said otherwise (OpenCV's own annotations say no more)."""
_SIDE = 1024


def generator(*entropy: int) -> np.random.Generator:
    """A PCG64 generator for one purpose, the same on every machine."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([value & 0xFFFFFFFF for value in entropy])))


@lru_cache(maxsize=16)
def fractal(coarse: int, octaves: int, stretch: int = 1, seed: int = 1) -> Raster:
    """A wrapping `uint8 (1024, 1024)` tile around 128.

    Args:
        coarse: cells per side of the lowest octave.
        octaves: doublings above it.
        stretch: how many times longer the grain is vertically.
        seed: which tile of this kind.
    """
    rng = generator(7, coarse, octaves, stretch, seed)
    total = np.zeros((_SIDE, _SIDE), np.float32)
    for octave in range(octaves):
        cells = coarse << octave
        rows = max(cells // stretch, 2)
        grid = rng.standard_normal((rows, cells)).astype(np.float32)
        grid = np.pad(grid, 2, mode="wrap")
        scaled = cv2.resize(
            grid, ((cells + 4) * _SIDE // cells, (rows + 4) * _SIDE // rows), interpolation=cv2.INTER_CUBIC
        )
        y, x = 2 * _SIDE // rows, 2 * _SIDE // cells
        total += scaled[y : y + _SIDE, x : x + _SIDE] * (0.62**octave)
    total *= 42 / float(total.std())
    return np.clip(total + 128, 0, 255).astype(np.uint8)


def crop(tile: Raster, width: int, height: int, rng: np.random.Generator) -> Raster:
    """A random window of a tile, mirrored at random; larger windows than the tile are stretched."""
    side = tile.shape[0]
    wide, high = min(width, side), min(height, side)
    x, y = int(rng.integers(side - wide + 1)), int(rng.integers(side - high + 1))
    window = tile[y : y + high, x : x + wide]
    if rng.random() < 0.5:
        window = window[:, ::-1]
    if (wide, high) != (width, height):
        window = cv2.resize(window, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.ascontiguousarray(window)


@lru_cache(maxsize=4)
def grain(colour: bool) -> Raster:
    """Sensor noise `uint8 (1400, 2000, 3)` around 128 with a standard deviation of 32; grey for infrared."""
    rng = generator(11, int(colour))
    noise: Raster
    if colour:
        noise = rng.standard_normal((1400, 2000, 3), dtype=np.float32)
        noise = 0.75 * noise + 0.65 * rng.standard_normal((1400, 2000, 1), dtype=np.float32)
    else:
        noise = np.repeat(rng.standard_normal((1400, 2000, 1), dtype=np.float32), 3, axis=2)
    smooth: Raster = cv2.GaussianBlur(noise, (3, 3), 0.55)
    return (smooth * (32 / float(smooth.std())) + 128).clip(0, 255).astype(np.uint8)


@lru_cache(maxsize=4)
def streaks(kind: str) -> Raster:
    """Falling rain or snow, `uint8 (1024, 1024)`, black where there is none."""
    rng = generator(13, len(kind))
    tile = np.zeros((_SIDE, _SIDE), np.uint8)
    for _ in range(900 if kind == "rain" else 700):
        x, y = (int(v) for v in rng.integers(0, _SIDE, 2))
        near = float(rng.random() ** 3)
        if kind == "rain":
            length = 10 + 46 * near
            cv2.line(tile, (x, y), (int(x + length * 0.14), int(y + length)), int(36 + 70 * near), 1, cv2.LINE_AA)
        else:
            cv2.ellipse(
                tile,
                (x, y),
                (int(1 + 4 * near), int(1 + 6 * near)),
                8,
                0,
                360,
                int(120 + 120 * rng.random()),
                -1,
                cv2.LINE_AA,
            )
    return cv2.GaussianBlur(tile, (3, 3), 0.7)
