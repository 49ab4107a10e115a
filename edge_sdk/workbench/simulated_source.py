"""Labelled pictures of the simulated camera, whose seeds never meet between the splits."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import count as count_up
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import numpy as np

from edge_sdk.errors import WorkbenchError
from edge_sdk.workbench.closeups import cut_out, find_changes
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
    """

    seed: int
    frames: int
    streams: float
    closeups: int
    split: Split
    stride: int = 3

    @classmethod
    def from_address(cls, address: str, split: Split) -> SimulatedSource:
        """Read `simulated://trailcam?seed=..&frames=..&streams=..`.

        Raises:
            WorkbenchError: another scene, an unknown option or a value out of range.
        """
        parts = urlsplit(address)
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
        unknown = sorted(set(options) - {"seed", "frames", "streams", "closeups", "stride"})
        if parts.netloc != "trailcam" or unknown:
            raise WorkbenchError(
                f"expected simulated://trailcam with seed, frames, streams, closeups, stride; got {address}"
            )
        try:
            source = cls(
                seed=int(options.get("seed", "0")),
                frames=int(options.get("frames", "2000")),
                streams=float(options.get("streams", "0")),
                closeups=int(options.get("closeups", "0")),
                split=split,
                stride=int(options.get("stride", "3")),
            )
        except ValueError as error:
            raise WorkbenchError(
                f"expected numbers for seed, frames, streams, closeups, stride; got {address}"
            ) from error
        if not (
            0 <= source.seed < 1000
            and source.frames > 0
            and 0 <= source.streams <= 1
            and 0 <= source.closeups < 10
            and 0 < source.stride <= 1000
        ):
            raise WorkbenchError(
                f"expected seed 0..999, frames of 1 or more, streams 0..1, closeups 0..9, stride 1..1000; got {address}"
            )
        if source.frames > FRAMES_PER_SEED * SEEDS_PER_ADDRESS:
            raise WorkbenchError(f"expected at most {FRAMES_PER_SEED * SEEDS_PER_ADDRESS} frames; got {source.frames}")
        return source

    @property
    def labels(self) -> tuple[str, ...]:
        """The camera's class names."""
        from edge_sdk.camera.simulated import LABELS

        return tuple(LABELS)

    @property
    def parts(self) -> int:
        """One part for each camera seed."""
        return -(-self.frames // FRAMES_PER_SEED)

    @property
    def key(self) -> str:
        """Changes with the seeds and the camera's code, but not with the number of frames, which only adds parts."""
        import edge_sdk.camera.simulated as simulated

        stride = "" if self.stride == 3 else f" {self.stride}"
        digest = hashlib.sha256(f"{self.seed} {self.streams} {self.closeups} {self.split}{stride}".encode())
        for path in sorted(Path(str(simulated.__file__)).parent.glob("*.py")):
            digest.update(path.read_bytes())
        return digest.hexdigest()[:16]

    def size(self, part: int) -> int:
        """Largest number of pictures in a part."""
        return self._frames(part) * (1 + self.closeups)

    def read(self, part: int) -> Iterator[LabelledImage]:
        """The frames of one camera seed."""
        seed = FIRST_SEED[self.split] + self.seed * SEEDS_PER_ADDRESS + part
        if int((part + 1) * self.streams) > int(part * self.streams):
            return _stream(seed, self._frames(part), self.stride)
        return _balanced(seed, self._frames(part), self.closeups)

    def _frames(self, part: int) -> int:
        return min(FRAMES_PER_SEED, self.frames - part * FRAMES_PER_SEED)


def _balanced(seed: int, count: int, closeups: int) -> Iterator[LabelledImage]:
    from edge_sdk.camera.simulated.sampler import sampled_shots

    address = f"simulated://trailcam?seed={seed}"
    rng = np.random.default_rng(seed)
    number = count_up()
    for renderer, pairs in groupby(islice(sampled_shots(seed), count), key=itemgetter(1)):
        shots = [shot for shot, _ in pairs]
        boxes = find_changes([shot.image for shot in shots]) if closeups else []
        for index, shot in enumerate(shots):
            label, light = shot.label or "empty", renderer.light.mode
            name = f"{seed}/{next(number):04d}"
            yield LabelledImage(shot.image, label, address, light, name)
            if closeups and (boxes[index] is not None or shot.label is None):
                for cut in range(closeups):
                    close = cut_out(shot.image, boxes[index], rng)
                    yield LabelledImage(close, label, address, light, f"{name}/{cut}")


def _stream(seed: int, count: int, stride: int) -> Iterator[LabelledImage]:
    from edge_sdk.camera.simulated import SimulatedCamera

    with SimulatedCamera(seed=seed, frames=count * stride) as camera:
        for index, frame in enumerate(islice(camera, 0, None, stride)):
            light = _light(frame.captured_at)
            yield LabelledImage(frame.image, frame.truth, frame.source, light, f"{seed}/{index:04d}")


def _light(time: datetime) -> str:
    """Day, dusk or night at the simulated camera."""
    from edge_sdk.camera.simulated.light import light_at

    return light_at(time.hour + time.minute / 60 + time.second / 3600, "clear", 0.0, 6.0).mode
