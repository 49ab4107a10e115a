"""Several regions in a frame, and regions that travel: what a look at the second one brings, and what sizes are enough.

    python benchmarks/region_subjects.py [--sites 24] [--frames 60] [--records FOLDER]

The streams, the gate, the models and the intervals are those of `benchmarks/regions.py`. Frames without a region are
left out. The little model looks at the frame and at its first two regions. The big one looks at the close-up as it
travels (`send="region"`), with its longer side at most so many pixels.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray
from regions import FIRST_SEED, Arrays, answers, on_sites
from rich.console import Console
from rich.table import Table

from edge_sdk.camera.gate import MotionGate
from edge_sdk.camera.simulated.camera import SimulatedCamera
from edge_sdk.images.close_up import close_up
from edge_sdk.images.encode import encode
from edge_sdk.images.read import decode_image
from edge_sdk.model.little import LittleModel
from edge_sdk.model.nothing import says_nothing
from edge_sdk.types import Image, View
from edge_sdk.workbench.cascade.bootstrap import in_percent
from edge_sdk.workbench.subjects import Subject

SIDES = (96, 128, 160, 224, 320)
LOOKS = ("frame", "region", "second")


def look(site: int, frames: int, little: LittleModel, big: Subject) -> Arrays:
    """Show one stream to gate and models: arrays over the frames with a region."""
    found: dict[str, list[Any]] = {name: [] for name in ("site", "truth", "regions", *(f"bytes {s}" for s in SIDES))}
    chances: dict[str, list[NDArray[np.float32]]] = {f"little {name}": [] for name in LOOKS}
    arrived: dict[str, list[Image]] = {f"big once {side}": [] for side in SIDES}
    gate, upload = MotionGate(), little.bundle.policy.upload
    with SimulatedCamera(seed=FIRST_SEED + site, frames=frames) as camera:
        for frame in camera:
            if not gate.admits(frame) or gate.last is None or not gate.last.regions:
                continue
            first, *others = gate.last.regions
            views = (first, View.FRAME), (first, View.REGION), (others[0] if others else first, View.REGION)
            for name, (region, view) in zip(LOOKS, views, strict=True):
                chances[f"little {name}"].append(little.predict(frame.image, region, view).probabilities)
            height, width = frame.image.shape[:2]
            part = close_up(first, width, height, width, height).of(frame.image)
            for side in SIDES:
                data = encode(part, msgspec.structs.replace(upload, max_side=side))
                found[f"bytes {side}"].append(len(data))
                arrived[f"big once {side}"].append(big.prepare(decode_image(data).image))
            for key, value in (("site", site), ("truth", frame.truth), ("regions", len(gate.last.regions))):
                found[key].append(value)
    chances |= {name: answers(big, pictures) for name, pictures in arrived.items()}
    return {name: np.array(values) for name, values in (found | chances).items()}


def surest_subject(looks: list[NDArray[np.float32]], labels: NDArray[Any]) -> NDArray[np.float32]:
    """For each frame the look that is surest of something; where all see nothing, their mean."""
    stacked = np.stack(looks)
    shows = np.array([not says_nothing(label) for label in labels])
    something = shows[stacked.argmax(axis=2)]
    sure = np.where(something, stacked.max(axis=2), -1.0)
    chosen = stacked[sure.argmax(axis=0), np.arange(stacked.shape[1])]
    result: NDArray[np.float32] = np.where(something.any(axis=0)[:, None], chosen, stacked.mean(axis=0))
    return result


def several_table(seen: Arrays) -> Table:
    """Accuracy on frames with two regions or more, by what the little model looks at."""
    labels, several = seen["labels"], seen["regions"] > 1
    frame, first, second = (seen[f"little {name}"][several] for name in LOOKS)
    truth, site = seen["truth"][several], seen["site"][several]
    ways = {
        "frame": (1, frame),
        "first region": (1, first),
        "second region": (1, second),
        "both: frame and first": (2, (frame + first) / 2),
        "mean of two regions": (2, (first + second) / 2),
        "the surer of two regions that sees something": (2, surest_subject([first, second], labels)),
        "mean of frame and two regions": (3, (frame + first + second) / 3),
        "the surest of frame and two regions that sees something": (3, surest_subject([frame, first, second], labels)),
    }
    table = Table("looks at", "passes", "right", "less first region", title=f"{int(several.sum())} frames, %")
    base = (labels[first.argmax(axis=1)] == truth).astype(float)
    for name, (passes, chances) in ways.items():
        right = (labels[chances.argmax(axis=1)] == truth).astype(float)
        table.add_row(name, str(passes), in_percent(right, site), in_percent(right - base, site, "+"))
    said = np.stack([labels[first.argmax(axis=1)], labels[second.argmax(axis=1)]])
    shows = np.array([[not says_nothing(label) for label in row] for row in said])
    false = (said != truth) & shows
    for name, count, found in (
        ("(the truth is among both answers)", "2", (said == truth).any(axis=0)),
        ("(a false subject is among both answers)", "2", false.any(axis=0)),
        ("(the first answer is a false subject)", "1", false[0]),
    ):
        table.add_row(name, count, in_percent(found.astype(float), site), "")
    return table


def travel_table(seen: Arrays) -> Table:
    """The big model's accuracy on regions that travel, by size."""
    labels, truth, site = seen["labels"], seen["truth"], seen["site"]
    table = Table("longer side", "mean bytes", "right", title=f"{len(truth)} regions, %")
    for side in SIDES:
        right = labels[seen[f"big once {side}"].argmax(axis=1)] == truth
        table.add_row(str(side), f"{seen[f'bytes {side}'].mean():,.0f}", in_percent(right.astype(float), site))
    return table


@click.command(context_settings={"show_default": True})
@click.option("--sites", default=24, help="Number of simulated sites.")
@click.option("--frames", default=60, help="Frames from each.")
@click.option("--records", type=click.Path(path_type=Path), help="Folder that keeps what the models said of each site.")
def main(sites: int, frames: int, records: Path | None) -> None:
    """Measure second regions, and regions that travel."""
    cv2.setNumThreads(1)
    seen = on_sites(look, sites, frames, records, "subjects-")
    console = Console(width=200)
    console.print(several_table(seen))
    console.print(travel_table(seen))


if __name__ == "__main__":
    main()
