"""Photos of bursts on a card, from the files to the rules: whole, region and both, with the regions of the device.

    python benchmarks/burst_photos.py [--sites 12] [--frames 90] [--video road.avi] [--keep FOLDER]

Bursts of three as in `benchmarks/region_bursts.py` are written as JPEG files with the times of their EXIF blocks, one
folder a site, and a CSV of their labels, as `edge-sdk records` and `calibrate` take them. The regions are compared with
those that the gate finds when it reads the cards. Of real footage (`--video`, no labels) a burst is cut every two
seconds, 0.3 s between its photos, and the share with a region is told.
"""

from __future__ import annotations

import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import cv2
import numpy as np
import PIL.Image
from numpy.typing import NDArray
from region_bursts import bursts
from regions import FIRST_SEED
from rich.console import Console
from rich.table import Table

from edge_sdk.camera.folder import FolderCamera
from edge_sdk.camera.gate import MotionGate
from edge_sdk.errors import WorkbenchError
from edge_sdk.images.rendition import Upload
from edge_sdk.model.bundle import open_bundle
from edge_sdk.types import Frame, Region, View
from edge_sdk.workbench.calibrate_events import calibrate_events
from edge_sdk.workbench.calibrate_looks import calibrate_looks
from edge_sdk.workbench.calibration import Rule
from edge_sdk.workbench.cascade.bootstrap import in_percent
from edge_sdk.workbench.data import open_source
from edge_sdk.workbench.event_records import event_of_frames, events_from_records
from edge_sdk.workbench.labelled import Source, Split, read_all
from edge_sdk.workbench.looks import photo_regions
from edge_sdk.workbench.recorder import write_records
from edge_sdk.workbench.records import Records
from edge_sdk.workbench.records_file import load_records
from edge_sdk.workbench.subjects import Subject, open_subject

BIG = Path(__file__).resolve().parent.parent / "cloud_server" / "models" / "trailcam" / "model.safetensors"
EVERY_S, BETWEEN_S = 2.0, 0.3


def write_photo(path: Path, frame: Frame) -> None:
    """A JPEG of a trap's quality, with its time."""
    exif = PIL.Image.Exif()
    taken = exif.get_ifd(0x8769)
    taken[0x9003], taken[0x9291] = f"{frame.captured_at:%Y:%m:%d %H:%M:%S}", f"{frame.captured_at:%f}"
    path.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.fromarray(frame.image).save(path, exif=exif, quality=90)


def write_sites(folder: Path, sites: int, frames: int) -> Path:
    """The cards of simulated sites, and the CSV, unless they are there."""
    if (folder / "labels.csv").is_file():
        return folder / "labels.csv"
    lines = ["file,label"]
    for site in range(sites):
        for number, (_, frame) in enumerate(bursts(FIRST_SEED + site, frames)):
            name = f"site {site}/IMG_{number + 1}.JPG"
            write_photo(folder / name, frame)
            lines.append(f"{name},{frame.truth}")
    (folder / "labels.csv").write_text("\n".join(lines))
    return folder / "labels.csv"


def write_video(folder: Path, video: Path) -> Path:
    """Bursts cut from footage of a camera that stands still; the label says nothing."""
    capture, number, lines = cv2.VideoCapture(str(video)), 0, ["file,label"]
    rate = capture.get(cv2.CAP_PROP_FPS)
    wanted = {round((burst * EVERY_S + photo * BETWEEN_S) * rate) for burst in range(1000) for photo in range(3)}
    start = datetime(2026, 5, 1, 12, tzinfo=UTC)
    while (read := capture.read())[0]:
        if number in wanted:
            # A minute between bursts, as between triggers.
            burst, rest = divmod(number / rate, EVERY_S)
            taken = start + timedelta(minutes=burst, seconds=rest)
            name = f"road/IMG_{number}.JPG"
            write_photo(folder / name, Frame(np.ascontiguousarray(read[1][..., ::-1]), taken))
            lines.append(f"{name},vehicle")
        number += 1
    (folder / "labels.csv").write_text("\n".join(lines))
    return folder / "labels.csv"


def on_the_device(folder: Path) -> dict[str, Region | None]:
    """The region of each photo, as the loop of a device finds it on the cards."""
    gate, found = MotionGate(), dict[str, Region | None]()
    with FolderCamera(folder) as camera:
        for frame in camera:
            assert gate.admits(frame) and gate.last is not None
            name = Path(frame.source).relative_to(folder).as_posix()
            found[name] = gate.last.regions[0] if gate.last.regions else None
    return found


def compare(console: Console, what: str, table: Path) -> Source:
    """Regions of the workbench against those of the device, and what finding them takes; gives the photos."""
    source = photo_regions(open_source(str(table), Split.ALL))
    began_s = time.perf_counter()
    found = {one.name: one.region for one in read_all(source)}
    took_s = time.perf_counter() - began_s
    wanted = on_the_device(table.parent)
    same = sum(found[name] == wanted[name] for name in found)
    near = sum(region is not None for region in found.values())
    console.print(
        f"{what}: {len(found)} photos, {near} with a region ({near / len(found):.0%}); the device's own in {same} of "
        f"{len(found)}; {1000 * took_s / len(found):.0f} ms a photo to read and find"
    )
    return source


def accuracy(records: Records, chosen: NDArray[np.bool_], places: NDArray[np.str_]) -> str:
    """Share that is right, with its interval over the sites."""
    return in_percent(records.right[chosen].astype(float), places[chosen])


def run(folder: Path, source: Source, subject: Subject, name: str) -> Records:
    """What a model says of the photos."""
    return load_records(write_records([subject], source, folder / name)[0])


@click.command(context_settings={"show_default": True})
@click.option("--sites", default=12, help="Number of simulated sites.")
@click.option("--frames", default=90, help="Frames of each stream, of which the bursts are cut.")
@click.option("--video", type=click.Path(exists=True, path_type=Path), help="Footage of a camera that stands still.")
@click.option("--keep", type=click.Path(path_type=Path), help="Folder that keeps photos and records.")
def main(sites: int, frames: int, video: Path | None, keep: Path | None) -> None:
    """Measure the way of photos from a card to the rules."""
    cv2.setNumThreads(1)
    console = Console(width=200)
    with tempfile.TemporaryDirectory() as place:
        folder = keep or Path(place)
        if video is not None:
            compare(console, video.name, write_video(folder / "video", video))
        source = compare(console, f"{sites} simulated sites", write_sites(folder / "cards", sites, frames))
        little = open_subject("trailcam")
        big = open_subject(str(BIG))
        policy = open_bundle("trailcam").policy
        rendition = policy.upload
        sent = {
            "frame": Subject(big.info, big.prepare, big.logits, rendition, big.input),
            "region": Subject(big.info, big.prepare, big.logits, rendition, big.input).looking_at(
                View.REGION, policy.region_upload or Upload()
            ),
        }
        said = {f"little {view}": run(folder, source, little.looking_at(view), f"little-{view}") for view in View}
        said |= {f"big, {view} sent": run(folder, source, one, f"big-{view}") for view, one in sent.items()}
        both = said["little both"]
        assert both.places is not None
        near, places, empty = both.with_region, both.places, both.info.labels.index("empty")
        kinds = {
            "all": near | ~near,
            "with a region, visitor": near & (both.truths != empty),
            "with a region, empty": near & (both.truths == empty),
            "without a region": ~near,
        }
        rows = Table("photos", "number", *said)
        for kind, chosen in kinds.items():
            rows.add_row(kind, str(int(chosen.sum())), *(accuracy(one, chosen, places) for one in said.values()))
        console.print(rows)
        cloud = said["big, region sent"]
        rule = Rule(drop=0.0)
        looks = calibrate_looks(both, cloud, rule, upload=rendition, region_upload=policy.region_upload)
        console.print(looks.note or "two rules, for photos with a region and for those without:")
        for name, one in looks.parts:
            console.print(
                f"{name or 'all'}: exits {one.point.exit_ratio:.0%}, little {one.little_accuracy:.1%}, cascade "
                f"{one.point.accuracy:.1%}, big {one.big_accuracy:.1%}"
            )
        visits = event_of_frames(both)
        console.print(f"{len(np.unique(visits[visits >= 0]))} bursts as events")
        try:
            console.print(calibrate_events(events_from_records(both, cloud, looks.policy), rule).sentence())
        except WorkbenchError as error:
            console.print(f"no rule of events: {error}")


if __name__ == "__main__":
    main()
