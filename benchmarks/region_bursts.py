"""What regions of photos bring, where a camera takes a burst of three for each trigger.

    python benchmarks/region_bursts.py [--sites 40] [--frames 90] [--records FOLDER]

Bursts are cut from streams of the simulated camera at one frame a second: the first three frames of a trigger, and
again after twelve seconds. They go through the gate as photos, which finds regions by the camera's earlier photos
(`edge_sdk.camera.burst_background`). Models, encodings and intervals are those of `benchmarks/regions.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np
from numpy.typing import NDArray
from regions import FIRST_SEED, VIEWS, Arrays, answers, arriving, big_near, on_sites, right
from rich.console import Console
from rich.table import Table

from edge_sdk.camera.gate import MotionGate
from edge_sdk.camera.simulated.camera import SimulatedCamera
from edge_sdk.model.little import LittleModel
from edge_sdk.types import Frame, Image, View
from edge_sdk.workbench.cascade.bootstrap import in_percent as share
from edge_sdk.workbench.subjects import Subject

PHOTOS = 3
EVERY_S = 12.0


def bursts(seed: int, frames: int) -> Iterator[tuple[int, Frame]]:
    """The photos of a triggered camera, and the number of each in its burst."""
    began, last, number = None, datetime.min, 0
    with SimulatedCamera(seed=seed, fps=1.0, frames=frames) as camera:
        for frame in camera:
            now = frame.captured_at
            if began is None or (now - last).total_seconds() > 1.5 or (now - began).total_seconds() >= EVERY_S:
                began, number = now, 0
            last = now
            if number < PHOTOS:
                yield number, replace(frame, still=True)
            number += 1


def look(site: int, frames: int, little: LittleModel, big: Subject) -> Arrays:
    """Show the bursts of one site to gate and models: arrays over the photos."""
    found: dict[str, list[Any]] = {name: [] for name in ("site", "truth", "region", "number", "area")}
    chances: dict[str, list[NDArray[np.float32]]] = {f"{who} {view}": [] for who in ("little", "big") for view in VIEWS}
    gate, wholes, nears = MotionGate(), list[Image](), list[Image]()
    for number, frame in bursts(FIRST_SEED + site, frames):
        assert gate.admits(frame) and gate.last is not None
        region = gate.last.regions[0] if gate.last.regions else None
        for view in VIEWS:
            chances[f"little {view}"].append(little.predict(frame.image, region, view).probabilities)
        wholes.append(arriving(frame.image, big))
        nears.append(arriving(big_near(frame.image, region, big), big) if region else wholes[-1])
        area = 0.0 if region is None else region.width * region.height / (frame.image.size / 3)
        facts = {"site": site, "truth": frame.truth, "region": region is not None, "number": number, "area": area}
        for name, value in facts.items():
            found[name].append(value)
    whole, near = answers(big, wholes), answers(big, nears)
    chances[f"big {View.FRAME}"], chances[f"big {View.REGION}"] = whole, near
    chances[f"big {View.BOTH}"] = [(one + two) / np.float32(2) for one, two in zip(whole, near, strict=True)]
    return {name: np.array(values) for name, values in (found | chances).items()}


def accuracy_table(seen: Arrays) -> Table:
    """Accuracy of photos by view, and its differences from the whole photo's, photo by photo."""
    table = Table("photos", "number", "with a region", "model", *VIEWS, "region - frame", "both - frame")
    truth, site, region, number = (seen[name] for name in ("truth", "site", "region", "number"))
    kinds = {
        "all": np.ones(len(truth), bool),
        **{f"number {k + 1} of a burst": number == k for k in range(PHOTOS)},
        "with a region": region,
        "with a region, visitor": region & (truth != "empty"),
        "with a region, empty": region & (truth == "empty"),
    }
    for name, chosen in kinds.items():
        for who in ("little", "big"):
            correct = [right(seen, who, view)[chosen] for view in VIEWS]
            shares = [share(one, site[chosen]) for one in correct]
            gains = [share(one - correct[0], site[chosen], "+") for one in correct[1:]]
            table.add_row(name, str(int(chosen.sum())), f"{100 * region[chosen].mean():.0f}%", who, *shares, *gains)
    return table


@click.command(context_settings={"show_default": True})
@click.option("--sites", default=40, help="Number of simulated sites.")
@click.option("--frames", default=90, help="Frames of each stream, of which the bursts are cut.")
@click.option("--records", type=click.Path(path_type=Path), help="Folder that keeps what the models said of each site.")
def main(sites: int, frames: int, records: Path | None) -> None:
    """Measure the views of photos that come in bursts."""
    cv2.setNumThreads(1)
    seen = on_sites(look, sites, frames, records, "bursts-")
    console = Console(width=250)
    has = seen["region"]
    visitors = seen["truth"] != "empty"
    console.print(
        f"{len(has)} photos of {sites} sites; a region in {100 * has[visitors].mean():.0f}% of those with a visitor, "
        f"in {100 * has[~visitors].mean():.0f}% of the others; mean box {100 * seen['area'][has].mean():.1f}%"
    )
    console.print(accuracy_table(seen))


if __name__ == "__main__":
    main()
