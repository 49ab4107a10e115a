"""What a look at the region brings on real pictures: the photos' bundle on a road, and on photos of camera traps.

    edge-sdk photos --data FOLDER --out photos-model
    python benchmarks/region_footage.py --bundle photos-model/photos [--sheets FOLDER]

The pictures are those below EDGE_SDK_DATA (default: ../shared/data). On `video/road.avi` the gate gives the regions,
and every frame shows cars: an answer is right where it is a vehicle. The trap photos are of as many scenes as there are
photos, so nothing in the SDK finds a region in them: the boxes below were drawn by hand, and stand for a detector that
errs nowhere. An answer is right where its group of ImageNet's classes is. `--sheets` draws what was looked at.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from edge_sdk.camera import open_camera
from edge_sdk.camera.gate import GateReason, MotionGate
from edge_sdk.images.close_up import close_up
from edge_sdk.images.read import read_image
from edge_sdk.model.little import LittleModel
from edge_sdk.networks.label_groups import label_group
from edge_sdk.networks.label_map import make_label_map
from edge_sdk.types import Image, Region

DATA = Path(os.environ.get("EDGE_SDK_DATA", Path(__file__).parents[2] / "shared" / "data"))
GROUPS = {
    "american_black_bear": "bear",
    "american_crow": "bird",
    "chicken": "bird",
    "eastern_fox_squirrel": "rabbit or rodent",
    "grey_fox": "fox or wolf",
    "striped_skunk": "other animal",
    "virginia_opossum": "other animal",
}
# Left, top, width and height of the largest animal, as parts of the photo. Two photos show none that is plain to see.
BOXES = {
    "8786": (0.32, 0.57, 0.08, 0.18),
    "8831": (0.35, 0.47, 0.22, 0.22),
    "9455": (0.22, 0.28, 0.14, 0.21),
    "49": (0.37, 0.68, 0.20, 0.30),
    "7951": (0.25, 0.47, 0.14, 0.18),
    "8200": (0.00, 0.33, 0.13, 0.17),
    "5899": (0.15, 0.63, 0.14, 0.21),
    "352": (0.32, 0.44, 0.15, 0.15),
    "422": (0.27, 0.61, 0.10, 0.18),
    "596": (0.33, 0.62, 0.38, 0.16),
    "4330": (0.38, 0.81, 0.42, 0.18),
    "4383": (0.12, 0.44, 0.28, 0.25),
    "4451": (0.81, 0.65, 0.10, 0.13),
    "2968": (0.55, 0.67, 0.10, 0.15),
    "2999": (0.64, 0.43, 0.34, 0.30),
    "3084": (0.44, 0.75, 0.11, 0.17),
    "2480": (0.74, 0.42, 0.19, 0.31),
    "2573": (0.74, 0.48, 0.12, 0.28),
    "2595": (0.00, 0.56, 0.08, 0.24),
}
EVERY = 3  # frames of the video
Case = tuple[str, str, Image, tuple[Region, ...]]  # name, truth, picture, regions
Looks = dict[str, NDArray[np.float32]]


def on_the_road() -> Iterator[Case]:
    """Frames of the road in which something moves."""
    gate = MotionGate()
    with open_camera(str(DATA / "video" / "road.avi")) as camera:
        for number, frame in enumerate(camera):
            admitted = gate.admits(frame)
            moves = admitted and gate.last is not None and gate.last.reason is GateReason.MOTION
            if moves and gate.last is not None and number % EVERY == 0:
                yield f"{number}", "vehicle", frame.image, gate.last.regions


def in_traps() -> Iterator[Case]:
    """Photos of camera traps, with the boxes drawn by hand."""
    for path in sorted((DATA / "trap_photos").glob("*/*.jpg")):
        if (box := BOXES.get(path.stem)) is not None:
            image = read_image(path).image
            height, width = image.shape[:2]
            x, y, across, down = (round(part * side) for part, side in zip(box, (width, height) * 2, strict=True))
            yield path.stem, GROUPS[path.parent.name], image, (Region(x, y, across, down, 1.0),)


def looks_at(little: LittleModel, image: Image, regions: tuple[Region, ...]) -> Looks:
    """Probabilities of the whole, of the first two regions' close-ups, and means."""
    height, width = image.shape[:2]
    size = little.manifest.input.width, little.manifest.input.height
    parts = [close_up(region, width, height, *size).of(image) for region in regions[:2]]
    whole, *near = (little.predict_looks([part]).probabilities for part in (image, *parts))
    first, second = near[0], near[1] if len(near) > 1 else near[0]
    return {"frame": whole, "region": first, "both": (whole + first) / np.float32(2), "second region": second}


def measure(cases: Iterator[Case], little: LittleModel, group: str, sheet: Path | None) -> tuple[Table, str]:
    """Answers in groups by look, right ones in percent; with a second region, what it adds."""
    grouped = make_label_map(little.labels, label_group(group))
    seen: dict[str, list[tuple[float, float]]] = {}
    several, tiles, drawn = np.zeros(4, int), list[Image](), 0
    for name, truth, image, regions in cases:
        found = {view: grouped.apply(said) for view, said in looks_at(little, image, regions).items()}
        tops = {view: grouped.labels[int(said.argmax())] for view, said in found.items()}
        for view in ("frame", "region", "both"):
            chance = float(found[view][grouped.labels.index(truth)])
            seen.setdefault(view, []).append((float(tops[view] == truth), chance))
        if len(regions) > 1:
            right = tops["region"] == truth, tops["second region"] == truth
            several += np.array([1, right[0], right[1], any(right)])
        if sheet is not None and drawn < 24 and len(tiles) // 2 == drawn:
            tiles += tile(name, image, regions, tops, little)
            drawn += 1
    if sheet is not None:
        rows = [np.hstack([*tiles[start : start + 8]]) for start in range(0, len(tiles) - 7, 8)]
        cv2.imwrite(str(sheet), np.vstack(rows))
    table = Table("looks at", "pictures", "right", "mean probability of the truth", title=f"group {group}")
    for view, rows_of in seen.items():
        right_of, chances = np.array(rows_of).T
        table.add_row(view, str(len(rows_of)), f"{100 * right_of.mean():.1f}%", f"{chances.mean():.3f}")
    count, first, second, either = several.tolist()
    return table, f"with two regions: {count}; the first right {first}, the second {second}, one of them {either}"


def tile(
    name: str, image: Image, regions: tuple[Region, ...], tops: dict[str, str], little: LittleModel
) -> tuple[Image, Image]:
    """The picture with its regions, and the first one's close-up, each with what was said of it."""
    height, width = image.shape[:2]
    part = close_up(regions[0], width, height, little.manifest.input.width, little.manifest.input.height)
    marked = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    for number, region in enumerate(regions):
        corner, far = (region.x, region.y), (region.x + region.width, region.y + region.height)
        colour = (0, 0, 255) if number == 0 else (0, 255, 255)
        cv2.rectangle(marked, corner, far, colour, max(2, width // 200))
    close = cv2.cvtColor(np.ascontiguousarray(part.of(image)), cv2.COLOR_RGB2BGR)
    drawn = [cv2.resize(one, (200, 150)) for one in (marked, close)]
    for one, text in zip(drawn, (f"{name}: {tops['frame']}", f"{tops['region']} / {tops['both']}"), strict=True):
        cv2.putText(one, text, (3, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 255), 1)
    return np.asarray(drawn[0], np.uint8), np.asarray(drawn[1], np.uint8)


@click.command(context_settings={"show_default": True})
@click.option(
    "--bundle", required=True, type=click.Path(path_type=Path), help="The bundle that `edge-sdk photos` made."
)
@click.option("--sheets", type=click.Path(path_type=Path), help="Folder for pictures of what was looked at.")
def main(bundle: Path, sheets: Path | None) -> None:
    """Measure the views of real pictures."""
    cv2.setNumThreads(1)
    console = Console(width=140)
    if sheets is not None:
        sheets.mkdir(parents=True, exist_ok=True)
    kinds: dict[str, tuple[Callable[[], Iterator[Case]], str]] = {
        "road": (on_the_road, "coarse"),
        "traps": (in_traps, "animals"),
    }
    with LittleModel(bundle) as little:
        for name, (cases, group) in kinds.items():
            table, line = measure(cases(), little, group, None if sheets is None else sheets / f"{name}.png")
            console.print(table)
            console.print(line)


if __name__ == "__main__":
    main()
