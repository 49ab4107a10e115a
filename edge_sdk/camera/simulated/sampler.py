"""Frames for training and for looking at: class-balanced, from ever new sites, in all lights."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

from edge_sdk.camera.simulated.arrivals import LABELS, Actor, plan_visit
from edge_sdk.camera.simulated.light import WEATHERS, light_at
from edge_sdk.camera.simulated.renderer import Renderer, Shot
from edge_sdk.camera.simulated.scene import make_site
from edge_sdk.camera.simulated.texture import generator
from edge_sdk.images.tiles import sheet_of, write_label
from edge_sdk.types import Image

_PER_SITE = 10
_SHOWN_PX = 85
"""On a contact sheet subjects are at least so long, at 640 pixels a row."""


def _session(rng: np.random.Generator, seed: int, width: int, height: int) -> tuple[Renderer, float]:
    site = make_site(seed, width, height)
    hour = float(
        rng.choice(
            (rng.uniform(7.5, 18), rng.choice((6.3, 19.2)) + rng.uniform(-0.35, 0.35), rng.uniform(21, 28) % 24),
            p=(0.5, 0.15, 0.35),
        )
    )
    weather = WEATHERS[int(rng.choice(len(WEATHERS), p=(0.4, 0.26, 0.11, 0.13, 0.10)))]
    if weather == "snow" and site.kind != "snow" and rng.random() < 0.7:
        weather = "overcast"
    light = light_at(hour, weather, float(rng.uniform(-1, 1)), float(rng.uniform(7.0, 11.0)))
    return Renderer(site, light), float(rng.beta(2, 3))


def _moment(kind: str, rng: np.random.Generator, renderer: Renderer) -> tuple[Actor, ...]:
    visit = plan_visit(kind, rng, renderer.site.view, 2.0, renderer.light.reach_m)
    return visit[int(rng.integers(len(visit)))]


def sampled_shots(seed: int, width: int = 640, height: int = 480) -> Iterator[tuple[Shot, Renderer]]:
    """Endless shots with their renderers; `Shot.label` runs through all classes in turn, in random order."""
    rng = generator(51, seed)
    deck: list[str] = []
    number = 0
    while True:
        renderer, wind = _session(rng, int(rng.integers(1 << 32)), width, height)
        for _ in range(_PER_SITE):
            if not deck:
                deck = [str(label) for label in rng.permutation(LABELS)]
            wanted = deck.pop()
            number += 1
            for _ in range(6):
                actors = () if wanted == "empty" else _moment(wanted, rng, renderer)
                shot = renderer.shoot(actors, rng, time_s=float(rng.uniform(0, 60)), wind=wind)
                if (shot.label or "empty") == wanted:
                    break
            yield shot, renderer


def training_frames(seed: int, *, width: int = 640, height: int = 480) -> Iterator[tuple[Image, str]]:
    """Endless `(image, label)` for training, deterministic per seed, all classes about equally often.

    Args:
        seed: streams of different seeds share no site.
        width: picture width in pixels.
        height: picture height in pixels.

    Yields:
        `uint8 (height, width, 3)` RGB and its label, one of `LABELS`.
    """
    for shot, _ in sampled_shots(seed, width, height):
        yield shot.image, shot.label or "empty"


def contact_sheet(rows: int = 6, columns: int = 7, seed: int = 0, *, tile: tuple[int, int] = (320, 240)) -> Image:
    """Labelled tiles, a column a class, each row from places of its own.

    Returns:
        `uint8 (rows * tile height, columns * tile width, 3)`.
    """
    tiles: list[Image] = []
    for index in range(rows * columns):
        row, column = divmod(index, columns)
        if column == 0:
            shots = sampled_shots(1000 * seed + row)
            waiting: dict[str, list[Image]] = {label: [] for label in LABELS}
        label = LABELS[column % len(LABELS)]
        while not waiting[label]:
            shot, _ = next(shots)
            if shot.label is not None and shot.extent_px < _SHOWN_PX * shot.image.shape[1] / 640:
                continue
            small: Image = cv2.resize(shot.image, tile, interpolation=cv2.INTER_AREA).astype(np.uint8)
            waiting[shot.label or "empty"].append(small)
        picture = waiting[label].pop(0)
        write_label(picture, label)
        tiles.append(picture)
    return sheet_of(tiles, columns)
