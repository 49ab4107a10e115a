"""What a look at the region brings: the shipped pair on streams of the simulated camera.

    python benchmarks/regions.py [--sites 40] [--frames 60] [--records FILE]

Each model sees each frame that the motion gate admits as a whole and, where the gate gives a region, its close-up; the
little one in the device's runtime, the big one after the device's JPEG encoding of either. Intervals are those of a
bootstrap over sites, since the frames of one site are alike. At the end, what the gate takes longer for its regions.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import click
import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

import cloud_server
from edge_sdk.camera.gate import GateReason, MotionGate
from edge_sdk.camera.regions import find_regions
from edge_sdk.camera.simulated.camera import SimulatedCamera
from edge_sdk.images.close_up import close_up
from edge_sdk.images.encode import encode
from edge_sdk.images.read import decode_image
from edge_sdk.model.bundle import open_bundle
from edge_sdk.model.little import LittleModel
from edge_sdk.model.policy import ExitPolicy
from edge_sdk.types import Image, Prediction, Region, View
from edge_sdk.workbench.cascade.bootstrap import in_percent
from edge_sdk.workbench.subjects import Subject, open_subject

BIG = Path(cloud_server.__file__).parent / "models" / "trailcam" / "model.safetensors"
FIRST_SEED = 910_000
VIEWS = (View.FRAME, View.REGION, View.BOTH)
Arrays = dict[str, NDArray[Any]]


def look(site: int, frames: int, little: LittleModel, big: Subject) -> Arrays:
    """Show one stream to gate and models: arrays over the admitted frames."""
    found: dict[str, list[Any]] = {name: [] for name in ("site", "truth", "region", "held", "regions")}
    chances: dict[str, list[NDArray[np.float32]]] = {f"{who} {view}": [] for who in ("little", "big") for view in VIEWS}
    gate = MotionGate()
    wholes: list[Image] = []
    nears: list[Image] = []
    with SimulatedCamera(seed=FIRST_SEED + site, frames=frames) as camera:
        for frame in camera:
            if not gate.admits(frame):
                continue
            assert gate.last is not None
            regions = gate.last.regions
            region = regions[0] if regions else None
            for view in VIEWS:
                chances[f"little {view}"].append(little.predict(frame.image, region, view).probabilities)
            wholes.append(arriving(frame.image, big))
            nears.append(arriving(big_near(frame.image, region, big), big) if region else wholes[-1])
            for name, value in (
                ("site", site),
                ("truth", frame.truth),
                ("region", region is not None),
                ("held", region is not None and region.held),
                ("regions", len(regions)),
            ):
                found[name].append(value)
    whole, near = answers(big, wholes), answers(big, nears)
    chances[f"big {View.FRAME}"], chances[f"big {View.REGION}"] = whole, near
    chances[f"big {View.BOTH}"] = [(one + two) / np.float32(2) for one, two in zip(whole, near, strict=True)]
    return {name: np.array(values) for name, values in (found | chances).items()} | {
        "refused": np.array([gate.passed_over])
    }


def on_sites(
    look: Callable[[int, int, LittleModel, Subject], Arrays],
    sites: int,
    frames: int,
    records: Path | None,
    name: str = "",
) -> Arrays:
    """What `look` finds on each site, in one; with the labels. A site that `records` has is not looked at again."""
    bundle = open_bundle("trailcam")
    big = open_subject(str(BIG), upload=bundle.policy.upload)
    parts: list[Arrays] = []
    with LittleModel(bundle) as little:
        for site in range(sites):
            file = None if records is None else records / f"{name}{site:03d}-{frames}.npz"
            if file is not None and file.exists():
                parts.append(dict(np.load(file)))
                continue
            parts.append(look(site, frames, little, big))
            if file is not None:
                file.parent.mkdir(parents=True, exist_ok=True)
                np.savez_compressed(file, **parts[-1])  # type: ignore[arg-type]
    parts = [part for part in parts if len(part["truth"])]
    seen = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return seen | {"labels": np.array(bundle.manifest.labels)}


def big_near(image: Image, region: Region, big: Subject) -> Image:
    """The region's close-up at the big model's proportions."""
    height, width = image.shape[:2]
    return close_up(region, width, height, big.info.width, big.info.height).of(image)


def arriving(image: Image, big: Subject) -> Image:
    """A picture as the big model sees it: sent, and brought to its input."""
    assert big.upload is not None
    return big.prepare(decode_image(encode(image, big.upload)).image)


def answers(big: Subject, prepared: list[Image]) -> list[NDArray[np.float32]]:
    """The big model's class probabilities."""
    rows = [big.logits(list(batch)) for batch in batched_up(prepared)]
    logits = np.concatenate(rows) if rows else np.empty((0, len(big.info.labels)), np.float32)
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return list(weights / weights.sum(axis=1, keepdims=True))


def batched_up(images: list[Image]) -> list[list[Image]]:
    """Batches of 16."""
    return [images[start : start + 16] for start in range(0, len(images), 16)]


def accuracy_table(seen: Arrays) -> Table:
    """Frame accuracy by view, and its differences from the whole frame's, frame by frame."""
    table = Table("frames", "number", "model", *VIEWS, "region - frame", "both - frame", title="accuracy, %")
    truth, site, region = seen["truth"], seen["site"], seen["region"]
    kinds = {
        "admitted": np.ones(len(truth), bool),
        "with a region": region,
        "with a region, visitor": region & (truth != "empty"),
        "with a region, empty": region & (truth == "empty"),
        "held": seen["held"],
    }
    for name, chosen in kinds.items():
        for who in ("little", "big"):
            correct = [right(seen, who, view)[chosen] for view in VIEWS]
            shares = [in_percent(one, site[chosen]) for one in correct]
            gains = [in_percent(one - correct[0], site[chosen], "+") for one in correct[1:]]
            table.add_row(name, str(int(chosen.sum())), who, *shares, *gains)
    return table


def cascade_table(seen: Arrays) -> Table:
    """The rule for whole frames that ships, with each view of either model."""
    labels, site = seen["labels"], seen["site"]
    bundle = open_bundle("trailcam")
    policy = ExitPolicy(bundle.policy)
    names = ("little looks at", "MMAC a frame", "exits", "exits right", "the others right: little")
    bigs = (f"{what}big, {view}" for what in ("", "cascade with ") for view in VIEWS)
    table = Table(*names, *bigs, title="cascade by the rule that ships, %")
    big = [right(seen, "big", view) for view in VIEWS]
    for view in VIEWS:
        chances, little = seen[f"little {view}"], right(seen, "little", view)
        exits = np.array([policy.decide(Prediction(tuple(labels.tolist()), row)).exits for row in chances])
        cost = bundle.manifest.macs / 1e6 * (1 + (view is View.BOTH) * seen["region"].mean())
        table.add_row(
            view,
            f"{cost:.0f}",
            in_percent(exits.astype(float), site),
            in_percent(little[exits], site[exits]),
            in_percent(little[~exits], site[~exits]),
            *(in_percent(one[~exits], site[~exits]) for one in big),
            *(in_percent(np.where(exits, little, one), site) for one in big),
        )
    return table


def threshold_table(seen: Arrays) -> Table:
    """Both models with one view: the lowest threshold that loses nothing on sites of even numbers, on the others."""
    site = seen["site"]
    chosen, rest = site % 2 == 0, site % 2 == 1
    table = Table("view of both", "threshold", "exits", "little", "cascade", "big", title="threshold of its own, %")
    for view in VIEWS:
        confidence = seen[f"little {view}"].max(axis=1)
        little, big = right(seen, "little", view), right(seen, "big", view)
        threshold = choose(confidence[chosen], little[chosen], big[chosen])
        exits = confidence >= threshold
        columns = (exits.astype(float), little, np.where(exits, little, big), big)
        table.add_row(view, f"{threshold:.3f}", *(in_percent(one[rest], site[rest]) for one in columns))
    return table


def right(seen: Arrays, who: str, view: View) -> NDArray[np.float64]:
    """1 for each frame of which the model is right, else 0."""
    found: NDArray[np.float64] = (seen["labels"][seen[f"{who} {view}"].argmax(axis=1)] == seen["truth"]).astype(float)
    return found


def choose(confidence: NDArray[Any], little: NDArray[Any], big: NDArray[Any]) -> float:
    """The lowest threshold at which the cascade is as accurate as the big model alone."""
    order = np.argsort(-confidence)
    gained = np.cumsum((little - big)[order])  # correct answers won when the first k frames exit
    last = np.flatnonzero(gained >= 0)
    return float(confidence[order][last[-1]]) if last.size else 1.01


def sent_bytes(sites: int, frames: int) -> tuple[float, float]:
    """Mean bytes of a frame with a region, sent whole and as the region's surroundings."""
    upload = open_bundle("trailcam").policy.upload
    whole, near = [], []
    for site in range(sites):
        gate = MotionGate()
        with SimulatedCamera(seed=FIRST_SEED + site, frames=frames) as camera:
            for frame in camera:
                if gate.admits(frame) and gate.last is not None and gate.last.regions:
                    height, width = frame.image.shape[:2]
                    part = close_up(gate.last.regions[0], width, height, width, height)
                    whole.append(len(encode(frame.image, upload)))
                    near.append(len(encode(part.of(frame.image), upload)))
    return statistics.mean(whole), statistics.mean(near)


def gate_times(sites: int) -> tuple[float, float, float]:
    """Medians over frames with motion: milliseconds of the gate, of its regions, and their share in the rest."""
    spent: list[float] = []
    whole: list[float] = []

    def timed(*arguments: Any) -> tuple[Region, ...]:
        began = time.perf_counter()
        found = find_regions(*arguments)
        spent.append(time.perf_counter() - began)
        return found

    with patch("edge_sdk.camera.gate.find_regions", timed):
        for site in range(sites):
            gate = MotionGate()
            with SimulatedCamera(seed=FIRST_SEED + site, frames=150) as camera:
                for frame in camera:
                    began = time.perf_counter()
                    gate.admits(frame)
                    took = time.perf_counter() - began
                    if gate.last is not None and gate.last.reason is GateReason.MOTION:
                        whole.append(took)
    ratios = [one / (all_ - one) for all_, one in zip(whole, spent, strict=True)]
    return 1000 * statistics.median(whole), 1000 * statistics.median(spent), statistics.median(ratios)


@click.command(context_settings={"show_default": True})
@click.option("--sites", default=40, help="Number of simulated sites.")
@click.option("--frames", default=60, help="Frames from each.")
@click.option("--records", type=click.Path(path_type=Path), help="Folder that keeps what the models said of each site.")
def main(sites: int, frames: int, records: Path | None) -> None:
    """Measure the views of a frame on the simulated camera."""
    cv2.setNumThreads(1)
    seen = on_sites(look, sites, frames, records)
    console = Console(width=250)
    console.print(
        f"{len(seen['truth'])} frames admitted, {int(seen['refused'].sum())} refused, {len(set(seen['site']))} sites"
    )
    numbers = np.bincount(seen["regions"], minlength=5)
    console.print("frames by number of regions: " + ", ".join(f"{k}: {n}" for k, n in enumerate(numbers)))
    console.print(accuracy_table(seen))
    console.print(cascade_table(seen))
    console.print(threshold_table(seen))
    whole, near = sent_bytes(sites, frames)
    console.print(f"bytes of a frame with a region: {whole:,.0f} whole, {near:,.0f} its region")
    whole, regions, ratio = gate_times(6)
    console.print(f"gate on frames with motion: {whole:.2f} ms, of which regions {regions:.3f} ms: x {1 + ratio:.2f}")


if __name__ == "__main__":
    main()
