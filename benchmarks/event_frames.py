"""Frames of places of the simulated camera as gate, little model and big model see them; kept, a file a place.

`benchmarks/events.py` reads them. Calibration places lie in the calibration split's seeds, 60 frames each from an hour
of the day that the seed draws; test places among the test seeds, 300 frames each, even seeds from 14:00 on, odd ones
from 02:00 on. So both see the whole day, and a place is seen for long enough that visits come.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

import cloud_server
from edge_sdk.camera.gate import GateReason, MotionGate
from edge_sdk.camera.simulated.camera import START, SimulatedCamera
from edge_sdk.camera.simulated.texture import generator
from edge_sdk.durable.files import write_whole
from edge_sdk.images.close_up import close_up
from edge_sdk.images.encode import encode
from edge_sdk.images.read import decode_image
from edge_sdk.images.rendition import Upload
from edge_sdk.model.bundle import Bundle
from edge_sdk.model.little import LittleModel
from edge_sdk.types import Image, Region
from edge_sdk.workbench.event_records import emptiness, group_frames
from edge_sdk.workbench.labelled import Split
from edge_sdk.workbench.simulated_source import FIRST_SEED
from edge_sdk.workbench.subjects import Subject, open_subject

BIG = Path(cloud_server.__file__).parent / "models" / "trailcam" / "model.safetensors"
CALIBRATION = FIRST_SEED[Split.CALIBRATION] + 1000
TEST = FIRST_SEED[Split.TEST] + 400
WHOLE = Upload(320, 80)
NEAR = Upload(256, 80)
CANDIDATES = 3
"""Frames of an event whose pixels are kept."""
NO_VISIT = (GateReason.LEARNING, GateReason.HEARTBEAT, GateReason.SCENE)
Arrays = dict[str, NDArray[Any]]


def seeds(calibration: int, test: int) -> list[int]:
    """All places, the two kinds mixed, so that a part of them can be looked at early."""
    share = max(1, round(calibration / max(1, test)))
    found: list[int] = []
    for number in range(test):
        found += [TEST + number, *range(CALIBRATION + share * number, CALIBRATION + share * (number + 1))]
    return found


def make_places(folder: Path, wanted: list[int], bundle: Bundle) -> None:
    """Look at every place that has no file yet; prints what is left."""
    cv2.setNumThreads(1)
    folder.mkdir(parents=True, exist_ok=True)
    todo = [seed for seed in wanted if not (folder / f"{seed}.npz").exists()]
    if not todo:
        return
    big = open_subject(str(BIG))
    total, done, began = sum(frames_of(seed) for seed in todo), 0, time.monotonic()
    with LittleModel(bundle) as little:
        for seed in todo:
            arrays = look(seed, little, big, folder / "pixels")
            write_whole(folder / f"{seed}.npz", lambda fresh, kept=arrays: np.savez_compressed(fresh, **kept))  # type: ignore[misc]
            done += frames_of(seed)
            left = (time.monotonic() - began) / done * (total - done)
            print(f"place {seed}: {done} of {total} frames, {left:.0f} s left", flush=True)


def frames_of(seed: int) -> int:
    """Length of a place's stream."""
    return 300 if seed < FIRST_SEED[Split.TRAIN] else 60


def camera_at(seed: int) -> SimulatedCamera:
    """The camera at a place."""
    hours = 12 * (seed % 2) if frames_of(seed) == 300 else float(generator(61, seed).uniform(0, 24))
    return SimulatedCamera(seed=seed, frames=frames_of(seed), start=START + timedelta(hours=hours))


def look(seed: int, little: LittleModel, big: Subject, pixels: Path) -> Arrays:
    """One place: arrays over the frames that the gate admits, and `every_*` over all frames."""
    gate, pictures = MotionGate(), []
    rows: dict[str, list[Any]] = {}
    every: dict[str, list[Any]] = {"every_time": [], "every_truth": [], "admitted": []}
    wholes: list[Image] = []
    nears: list[Image] = []
    with camera_at(seed) as camera:
        for index, frame in enumerate(camera):
            admitted, moment = gate.admits(frame), frame.captured_at.timestamp()
            for name, value in zip(every, (moment, frame.truth, admitted), strict=True):
                every[name].append(value)
            if not admitted or gate.last is None:
                continue
            region = gate.last.regions[0] if gate.last.regions else None
            near = near_part(frame.image, region)
            whole_bytes, whole = arriving(frame.image, big, WHOLE)
            near_bytes, arrived = arriving(near, big, NEAR) if region else (whole_bytes, whole)
            wholes.append(whole)
            nears.append(arrived)
            pictures.append(frame.image)
            said = little.logits(frame.image)
            values: dict[str, Any] = {
                "index": index,
                "time": moment,
                "truth": frame.truth,
                "trigger": str(gate.last.reason),
                "region": (region.x, region.y, region.width, region.height) if region else (0, 0, 0, 0),
                "held": region is not None and region.held,
                "little_whole": said,
                "little_near": little.logits(near) if region else said,
                "whole_bytes": whole_bytes,
                "near_bytes": near_bytes,
            }
            for name, value in values.items():
                rows.setdefault(name, []).append(value)
    arrays = {name: np.array(values) for name, values in (rows | every).items()}
    arrays |= {"big_whole": logits(big, wholes), "big_near": logits(big, nears)}
    _keep_pixels(seed, arrays, pictures, little, pixels)
    return arrays


def near_part(image: Image, region: Region | None) -> Image:
    """What travels of a frame with a region, and what the little model looks at: its input is 4:3 as the frame is."""
    if region is None:
        return image
    height, width = image.shape[:2]
    return close_up(region, width, height, width, height).of(image)


def arriving(image: Image, big: Subject, upload: Upload) -> tuple[int, Image]:
    """A picture's bytes, and the picture as the big model sees it."""
    data = encode(image, upload)
    return len(data), big.prepare(decode_image(data).image)


def logits(big: Subject, prepared: list[Image]) -> NDArray[np.float32]:
    """`float32 (N, C)`, in batches of 16."""
    return np.concatenate([big.logits(prepared[start : start + 16]) for start in range(0, len(prepared), 16)])


def _keep_pixels(seed: int, arrays: Arrays, pictures: list[Image], little: LittleModel, folder: Path) -> None:
    """Write the frames of each event that look least empty."""
    folder.mkdir(parents=True, exist_ok=True)
    temperature = little.bundle.policy.temperature
    chances = sum(softmax(arrays[f"little_{look}"], temperature) for look in ("whole", "near"))
    empty, events = emptiness(np.asarray(chances), little.labels), events_of(arrays, str(seed))
    for event in np.unique(events[events >= 0]):
        rows = np.flatnonzero(events == event)
        for row in rows[np.argsort(empty[rows], kind="stable")][:CANDIDATES]:
            name = str(folder / f"{seed}-{arrays['index'][row]:04d}.png")
            cv2.imwrite(name, cv2.cvtColor(pictures[row], cv2.COLOR_RGB2BGR), [cv2.IMWRITE_PNG_COMPRESSION, 1])


def events_of(arrays: Arrays, place: str | NDArray[np.str_], most: int = 0) -> NDArray[np.int64]:
    """The event of each admitted frame; -1: none."""
    moments = np.where(np.isin(arrays["trigger"], [str(one) for one in NO_VISIT]), np.nan, arrays["time"])
    places = [place] * len(moments) if isinstance(place, str) else place.tolist()
    return group_frames(places, moments, most=most)


def softmax(values: NDArray[np.float32], temperature: float = 1.0) -> NDArray[np.float32]:
    """Of `(N, C)` logits."""
    weights = np.exp((values - values.max(axis=1, keepdims=True)) / np.float32(temperature))
    result: NDArray[np.float32] = weights / weights.sum(axis=1, keepdims=True)
    return result


def load_places(folder: Path, wanted: list[int], only: Callable[[int], bool]) -> tuple[Arrays, list[Arrays]]:
    """The places' arrays one after the other, with `place` and `ids`; and the places by themselves."""
    parts = []
    for seed in sorted(filter(only, wanted)):
        part = dict(np.load(folder / f"{seed}.npz"))
        part["place"] = np.full(len(part["index"]), str(seed))
        part["ids"] = np.array([f"{seed}/{index:04d}" for index in part["index"]])
        parts.append(part)
    names = [name for name in parts[0] if not name.startswith("every") and name != "admitted"]
    return {name: np.concatenate([part[name] for part in parts]) for name in names}, parts
