"""Labelled pictures of the simulated camera, whose seeds never meet between the splits."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count as count_up
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import numpy as np

from edge_sdk.camera.gate import GateReason, MotionGate
from edge_sdk.errors import WorkbenchError
from edge_sdk.types import Image, Region
from edge_sdk.workbench.closeups import Box, cut_out, find_changes
from edge_sdk.workbench.labelled import LabelledImage, Split

FIRST_SEED = {Split.TEST: 0, Split.ALL: 0, Split.TRAIN: 1_000_000, Split.VAL: 2_000_000, Split.CALIBRATION: 3_000_000}
"""First camera seed of each split, which has a million."""

SEEDS_PER_ADDRESS = 1000
"""Camera seeds behind one `seed=` of an address: `seed=7` uses the 7000th to 7999th of its split."""

FRAMES_PER_SEED = 100


@dataclass(frozen=True, slots=True)
class SimulatedSource:
    """Frames of the simulated camera, `FRAMES_PER_SEED` of each camera seed.

    Attributes:
        seed: of the address.
        frames: number of pictures.
        streams: share of them that is taken from streams, in [0, 1].
        closeups: number of cut-outs that follow each balanced frame.
        stride: every `stride`-th frame of a stream is used, because neighbours look alike.
        split: decides the camera seeds.
        gate: pictures of streams are those that the motion gate admits, and belong to visits; each camera seed begins
            at an hour of its own, so that few frames of many see the whole day.
        each: frames of each camera seed.
        regions: balanced frames have a region too: what differs from the others of their place, and of an empty one
            any part, as where wind moves something.
    """

    seed: int
    frames: int
    streams: float
    closeups: int
    split: Split
    stride: int = 3
    gate: bool = False
    each: int = FRAMES_PER_SEED
    regions: bool = False

    @classmethod
    def from_address(cls, address: str, split: Split) -> SimulatedSource:
        """Read `simulated://trailcam?seed=..&frames=..&streams=..`.

        Raises:
            WorkbenchError: another scene, an unknown option or a value out of range.
        """
        parts = urlsplit(address)
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
        unknown = sorted(set(options) - {"seed", "frames", "streams", "closeups", "stride", "gate", "each"})
        if parts.netloc != "trailcam" or unknown:
            raise WorkbenchError(
                f"expected simulated://trailcam with seed, frames, streams, closeups, stride, gate, each; got {address}"
            )
        try:
            source = cls(
                seed=int(options.get("seed", "0")),
                frames=int(options.get("frames", "2000")),
                streams=float(options.get("streams", "0")),
                closeups=int(options.get("closeups", "0")),
                split=split,
                stride=int(options.get("stride", "1" if options.get("gate") == "1" else "3")),
                gate=bool(int(options.get("gate", "0"))),
                each=int(options.get("each", str(FRAMES_PER_SEED))),
            )
        except ValueError as error:
            raise WorkbenchError(
                f"expected numbers for seed, frames, streams, closeups, stride, gate, each; got {address}"
            ) from error
        if not (
            0 <= source.seed < 1000
            and source.frames > 0
            and 0 <= source.streams <= 1
            and 0 <= source.closeups < 10
            and 0 < source.stride <= 1000
            and 0 < source.each <= 100_000
        ):
            raise WorkbenchError(
                "expected seed 0..999, frames of 1 or more, streams 0..1, closeups 0..9, stride 1..1000, "
                f"each 1..100000; got {address}"
            )
        if source.gate and (source.streams < 1 or source.stride > 1):
            raise WorkbenchError(f"expected gate=1 with streams=1 and every frame (stride=1); got {address}")
        if source.frames > source.each * SEEDS_PER_ADDRESS:
            raise WorkbenchError(f"expected at most {source.each * SEEDS_PER_ADDRESS} frames; got {source.frames}")
        return source

    @property
    def labels(self) -> tuple[str, ...]:
        """The camera's class names."""
        from edge_sdk.camera.simulated import LABELS

        return tuple(LABELS)

    @property
    def parts(self) -> int:
        """One part for each camera seed."""
        return -(-self.frames // self.each)

    @property
    def key(self) -> str:
        """Changes with the seeds and the camera's code, but not with the number of frames, which only adds parts."""
        import edge_sdk.camera.simulated as simulated

        stride = "" if self.stride == 3 else f" {self.stride}"
        stride += f" gate {self.each}" if self.gate else "" if self.each == FRAMES_PER_SEED else f" each {self.each}"
        stride += " regions" if self.regions else ""
        digest = hashlib.sha256(f"{self.seed} {self.streams} {self.closeups} {self.split}{stride}".encode())
        folder = Path(str(simulated.__file__)).parent
        files = sorted(folder.glob("*.py"))
        for path in [*files, *(folder.parent / name for name in ("gate.py", "regions.py") if self.gate)]:
            digest.update(path.read_bytes())
        return digest.hexdigest()[:16]

    def size(self, part: int) -> int:
        """Largest number of pictures in a part."""
        return self._frames(part) * (1 + self.closeups)

    def read(self, part: int) -> Iterator[LabelledImage]:
        """The frames of one camera seed."""
        seed = FIRST_SEED[self.split] + self.seed * SEEDS_PER_ADDRESS + part
        if int((part + 1) * self.streams) > int(part * self.streams):
            return _stream(seed, self._frames(part), self.stride, self.gate)
        return _balanced(seed, self._frames(part), self.closeups, self.regions)

    def _frames(self, part: int) -> int:
        return min(self.each, self.frames - part * self.each)


def _balanced(seed: int, count: int, closeups: int, regions: bool) -> Iterator[LabelledImage]:
    from edge_sdk.camera.simulated.sampler import sampled_shots

    address = f"simulated://trailcam?seed={seed}"
    rng, elsewhere = np.random.default_rng(seed), np.random.default_rng([seed, 1])
    number = count_up()
    for renderer, pairs in groupby(islice(sampled_shots(seed), count), key=itemgetter(1)):
        shots = [shot for shot, _ in pairs]
        boxes = find_changes([shot.image for shot in shots]) if closeups or regions else []
        for index, shot in enumerate(shots):
            label, light = shot.label or "empty", renderer.light.mode
            name = f"{seed}/{next(number):04d}"
            region = _region(boxes[index], shot.image, shot.label is None, elsewhere) if regions else None
            yield LabelledImage(shot.image, label, address, light, name, region)
            if closeups and (boxes[index] is not None or shot.label is None):
                for cut in range(closeups):
                    close = cut_out(shot.image, boxes[index], rng)
                    yield LabelledImage(close, label, address, light, f"{name}/{cut}")


def _region(box: Box | None, image: Image, is_empty: bool, rng: np.random.Generator) -> Region | None:
    """What moved in a picture; in an empty one, where nothing is found, any part of it."""
    height, width = image.shape[:2]
    if box is None and is_empty:
        across = int(np.exp(rng.uniform(np.log(width / 32), np.log(width / 3))))
        down = max(1, int(across * rng.uniform(0.4, 1.2) * height / width))
        box = (int(rng.integers(0, width - across)), int(rng.integers(0, max(1, height - down))), across, down)
    return None if box is None else Region(*box, 1.0)


def _stream(seed: int, count: int, stride: int, gated: bool) -> Iterator[LabelledImage]:
    """Every `stride`-th frame, with the region that the motion gate gives it when it sees them all."""
    from edge_sdk.camera.simulated import SimulatedCamera
    from edge_sdk.camera.simulated.camera import START

    gate, start = MotionGate(), start_at(seed) if gated else START
    with SimulatedCamera(seed=seed, frames=count * stride, start=start) as camera:
        for number, frame in enumerate(camera):
            admitted = gate.admits(frame)
            if number % stride or (gated and not admitted) or gate.last is None:
                continue
            light, regions = _light(frame.captured_at), gate.last.regions
            visits = gated and gate.last.reason in (GateReason.MOTION, GateReason.HOLD)
            yield LabelledImage(
                frame.image,
                frame.truth,
                frame.source,
                light,
                f"{seed}/{number // stride:04d}",
                regions[0] if regions else None,
                frame.source,
                frame.captured_at.timestamp() if visits else math.nan,
            )


def start_at(seed: int) -> datetime:
    """When the gated stream of a camera seed begins: any hour of the day."""
    from edge_sdk.camera.simulated.camera import START
    from edge_sdk.camera.simulated.texture import generator

    return START + timedelta(hours=float(generator(61, seed).uniform(0, 24)))


def _light(time: datetime) -> str:
    """Day, dusk or night at the simulated camera."""
    from edge_sdk.camera.simulated.light import light_at

    return light_at(time.hour + time.minute / 60 + time.second / 3600, "clear", 0.0, 6.0).mode
