"""What blurring people costs the big model, and how much of them it covers, on the simulated camera.

    python benchmarks/blur.py [--sites 40] [--frames 60]

The shipped pair looks at streams of sites that neither has seen, through the motion gate. Where the little model's
probability of a person is 0.2 or more, the regions are blurred as `Blur` does it, and the big model sees the frame
after the device's JPEG encoding. A person's pixels are those of the drawn figure, hidden parts included. Intervals are
those of a bootstrap over sites.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import click
import cv2
import numpy as np
from numpy.typing import NDArray
from regions import BIG, FIRST_SEED, answers, arriving
from rich.console import Console
from rich.table import Table

from edge_sdk.camera.gate import MotionGate
from edge_sdk.camera.simulated.camera import SimulatedCamera
from edge_sdk.camera.simulated.painter import paint
from edge_sdk.camera.simulated.renderer import Renderer
from edge_sdk.model.bundle import open_bundle
from edge_sdk.model.little import LittleModel
from edge_sdk.pipeline.blur import Blur
from edge_sdk.types import Frame, Image
from edge_sdk.workbench.cascade.bootstrap import in_percent
from edge_sdk.workbench.subjects import Subject, open_subject

WAYS = {
    "as it is": None,
    **{f"regions, {cells} cells": Blur(cells=cells) for cells in (4, 6, 8, 12)},
    "whole, 6 cells": Blur(whole=True),
}
MARGINS = (0.0, 0.25, 0.5)


@contextmanager
def figures() -> Iterator[list[NDArray[np.bool_]]]:
    """The pixels of whoever is drawn, `bool (H, W)` each; cleared by who reads them."""
    drawn: list[NDArray[np.bool_]] = []
    place = Renderer._place

    def placed(self: Renderer, image: Any, actor: Any) -> float:
        sprite = paint(actor.solid(), self.site.view, actor.place)
        if sprite is not None and actor.kind == "person":
            mask = np.zeros(image.shape[:2], bool)
            height, width = mask.shape
            top, left = max(0, sprite.y), max(0, sprite.x)
            bottom, right = min(height, sprite.y + sprite.alpha.shape[0]), min(width, sprite.x + sprite.alpha.shape[1])
            if top < bottom and left < right:
                cut = sprite.alpha[top - sprite.y : bottom - sprite.y, left - sprite.x : right - sprite.x]
                mask[top:bottom, left:right] = cut > 127
            drawn.append(mask)
        return place(self, image, actor)

    with patch.object(Renderer, "_place", placed):
        yield drawn


def covered(frame: Frame, mask: NDArray[np.bool_], margin: float) -> float:
    """Share of a figure's pixels that lie in the blurred boxes."""
    hidden = np.zeros(mask.shape, bool)
    for region in frame.regions:
        across, down = round(margin * region.width), round(margin * region.height)
        rows = slice(max(0, region.y - down), region.y + region.height + down)
        hidden[rows, max(0, region.x - across) : region.x + region.width + across] = True
    return float(hidden[mask].mean())


def look(site: int, frames: int, little: LittleModel, big: Subject, found: dict[str, list[Any]]) -> None:
    """Show one stream to gate and models."""
    gate = MotionGate()
    with figures() as drawn, SimulatedCamera(seed=FIRST_SEED + site, frames=frames) as camera:
        for frame in camera:
            people, drawn[:] = list(drawn), []
            if not gate.admits(frame):
                continue
            assert gate.last is not None
            frame = replace(frame, regions=gate.last.regions)
            prediction = little.predict(frame.image)
            chance = float(prediction.probabilities[prediction.labels.index("person")])
            found["site"].append(site)
            found["truth"].append(frame.truth)
            found["chance"].append(chance)
            found["region"].append(bool(frame.regions))
            mask = np.logical_or.reduce(people) if people else None
            shown = mask is not None and frame.truth == "person" and bool(frame.regions) and bool(mask.any())
            for margin in MARGINS:
                found[f"covered {margin}"].append(
                    covered(frame, mask, margin) if shown and mask is not None else np.nan
                )
            if chance >= 0.2:
                pictures = [blurred(frame, prediction, blur) for blur in WAYS.values()]
                rows = answers(big, [arriving(picture, big) for picture in pictures])
                labels = [big.info.labels[int(row.argmax())] for row in rows]
            else:
                labels = [""] * len(WAYS)
            for name, label in zip(WAYS, labels, strict=True):
                found[name].append(label)


def blurred(frame: Frame, prediction: Any, blur: Blur | None) -> Image:
    """The picture that is sent."""
    return frame.image if blur is None else blur.of(frame, prediction).image


@click.command(context_settings={"show_default": True})
@click.option("--sites", default=40, help="Number of simulated sites.")
@click.option("--frames", default=60, help="Frames from each.")
def main(sites: int, frames: int) -> None:
    """Measure what blurring costs and covers on the simulated camera."""
    cv2.setNumThreads(1)
    bundle = open_bundle("trailcam")
    big = open_subject(str(BIG), upload=bundle.policy.upload)
    names = ("site", "truth", "chance", "region", *(f"covered {margin}" for margin in MARGINS), *WAYS)
    found: dict[str, list[Any]] = {name: [] for name in names}
    with LittleModel(bundle) as little:
        for site in range(sites):
            look(site, frames, little, big, found)
    seen = {name: np.array(values) for name, values in found.items()}
    person, hit = seen["truth"] == "person", seen["chance"] >= 0.2
    console = Console(width=200)
    console.print(
        f"{len(person)} frames admitted on {sites} sites, {int(person.sum())} of people; blurred: "
        f"{int((person & hit).sum())} of these ({in_percent(hit[person].astype(float), seen['site'][person])}%), "
        f"{int((~person & hit).sum())} others"
    )
    with_region = f"{int((person & hit & seen['region']).sum())} of the blurred frames of people have a region"
    console.print(with_region)
    table = Table("frames", "number", *WAYS, title="the big model's accuracy, %")
    for name, chosen in {"of people": person & hit, "others": ~person & hit}.items():
        right = [(seen[way] == seen["truth"])[chosen].astype(float) for way in WAYS]
        table.add_row(name, str(int(chosen.sum())), *(in_percent(one, seen["site"][chosen]) for one in right))
        table.add_row(
            "- as it is", "", "", *(in_percent(one - right[0], seen["site"][chosen], "+") for one in right[1:])
        )
    console.print(table)
    table = Table(
        "margin", "frames", "mean share", "all of it (99%)", "less than half", title="a person's pixels in the boxes"
    )
    for margin in MARGINS:
        part = seen[f"covered {margin}"]
        part = part[~np.isnan(part)]
        table.add_row(
            f"{margin:g}", str(len(part)), f"{100 * part.mean():.1f}%", f"{100 * (part >= 0.99).mean():.1f}%",
            f"{100 * (part < 0.5).mean():.1f}%",
        )  # fmt: skip
    console.print(table)


if __name__ == "__main__":
    main()
