"""Labelled pictures for training, calibration and measurement: folders of classes, or the simulated camera.

| address | what |
|---|---|
| `photos/` | `photos/CLASS/*.jpg`, at any depth below the class |
| `simulated://trailcam?seed=7&frames=12000` | balanced, varied frames of the simulated camera |
| `simulated://trailcam?seed=7&frames=4000&streams=1` | frames of its streams: arrivals, repeats, empty gaps |
| `simulated://trailcam?seed=7&frames=12000&streams=0.3` | three tenths of the second, the rest of the first |
| `simulated://trailcam?seed=7&frames=6000&closeups=2` | with two cut-outs around the subject of each |
| `simulated://trailcam?seed=7&frames=4000&streams=1&stride=10` | every tenth frame of the streams (default: third) |

Splits never share a picture. In a folder, a hash of the file's name decides: a tenth each is for validation,
calibration and test. For the simulated camera each split has camera seeds of its own (`FIRST_SEED`), and each camera
seed is another place; what a person types at the camera itself (`--camera simulated://trailcam?seed=7`) lies among the
test seeds.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import count as count_up
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path
from typing import Protocol
from urllib.parse import parse_qsl, urlsplit

import numpy as np

from edge_sdk.errors import ImageError, WorkbenchError
from edge_sdk.images.read import IMAGE_SUFFIXES, read_image
from edge_sdk.types import Image
from edge_sdk.workbench.closeups import cut_out, find_changes

_log = logging.getLogger(__name__)


class Split(StrEnum):
    """What a picture may be used for; ALL is a whole folder, or the test seeds of the simulated camera."""

    TRAIN = "train"
    VAL = "val"
    CALIBRATION = "calibration"
    TEST = "test"
    ALL = "all"


FIRST_SEED = {Split.TEST: 0, Split.ALL: 0, Split.TRAIN: 1_000_000, Split.VAL: 2_000_000, Split.CALIBRATION: 3_000_000}
"""First camera seed of each split, which has a million."""

SEEDS_PER_ADDRESS = 1000
"""Camera seeds behind one `seed=` of an address: `seed=7` uses the 7000th to 7999th of its split."""

FRAMES_PER_SEED = 100
_FILES_PER_PART = 250


@dataclass(frozen=True, slots=True, eq=False)
class LabelledImage:
    """A picture and what is known of it.

    Attributes:
        image: `uint8 (H, W, 3)` RGB, full size.
        label: the true class, or None.
        source: the file, or the camera's address.
        group: what the picture is to be reported under, such as the light; "" where nothing is known.
        name: tells it from the other pictures of its source: the file below the folder, or camera and number.
    """

    image: Image
    label: str | None
    source: str = ""
    group: str = ""
    name: str = ""


class Source(Protocol):
    """Labelled pictures in parts, each of which can be read alone and is always the same."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names, sorted as the source has them; empty where there are none."""

    @property
    def parts(self) -> int:
        """Number of parts."""

    @property
    def key(self) -> str:
        """Names the content: another key, other pictures."""

    def size(self, part: int) -> int:
        """Number of pictures in a part, at most."""

    def read(self, part: int) -> Iterator[LabelledImage]:
        """The pictures of one part."""


def open_source(address: str, split: Split) -> Source:
    """Labelled pictures at an address (see the module).

    Raises:
        WorkbenchError: nothing there, or an option that cannot be used.
    """
    if address.startswith("simulated://"):
        return SimulatedSource.from_address(address, split)
    return FolderSource(Path(address), split)


def read_all(source: Source) -> Iterator[LabelledImage]:
    """All pictures of a source, in order."""
    for part in range(source.parts):
        yield from source.read(part)


def read_some(source: Source, limit: int) -> Iterator[LabelledImage]:
    """At most `limit` pictures; of a folder they are spread evenly over its files, and so over its classes."""
    if isinstance(source, FolderSource):
        return source.read_spread(limit)
    return islice(read_all(source), limit)


def measuring_split(address: str) -> Split:
    """The split to measure on: calibration of the simulated camera, all of a folder."""
    return Split.CALIBRATION if address.startswith("simulated://") else Split.ALL


class FolderSource:
    """Pictures in a folder. Its sub-folders are the classes; pictures beside them, or without any, have no label.

    A file that cannot be decoded is logged and passed over.

    Raises:
        WorkbenchError: there is no such folder, or no picture of this split in it.
    """

    def __init__(self, root: Path, split: Split) -> None:
        if not root.is_dir():
            raise WorkbenchError(f"expected a folder of pictures or simulated://...; got {str(root)!r}")
        files = picture_files(root)
        names = {path: path.relative_to(root).as_posix() for path in files}
        self.labels = tuple(sorted({names[path].split("/")[0] for path in files if "/" in names[path]}))
        self._root = root
        self._files = [path for path in files if split in (Split.ALL, split_of(names[path]))]
        if not self._files:
            raise WorkbenchError(f"expected pictures of the {split} split in {root}; got {len(files)} pictures in all")
        self.parts = -(-len(self._files) // _FILES_PER_PART)
        facts = [f"{names[path]} {path.stat().st_size} {path.stat().st_mtime_ns}" for path in self._files]
        self.key = hashlib.sha256("\n".join(facts).encode()).hexdigest()[:16]

    def size(self, part: int) -> int:
        """Number of files in a part."""
        return min(_FILES_PER_PART, len(self._files) - part * _FILES_PER_PART)

    def read(self, part: int) -> Iterator[LabelledImage]:
        """The pictures of one part."""
        yield from self._read(self._files[part * _FILES_PER_PART : (part + 1) * _FILES_PER_PART])

    def read_spread(self, limit: int) -> Iterator[LabelledImage]:
        """The pictures of at most `limit` files, spread evenly over all."""
        count = min(limit, len(self._files))
        yield from self._read([self._files[index * len(self._files) // count] for index in range(count)])

    def _read(self, files: Sequence[Path]) -> Iterator[LabelledImage]:
        for path in files:
            try:
                image = read_image(path).image
            except ImageError as error:
                _log.warning("left out: %s", error)
                continue
            inner = path.relative_to(self._root).parts
            label = inner[0] if len(inner) > 1 else None
            yield LabelledImage(image, label, str(path), name="/".join(inner))


def picture_files(folder: Path) -> list[Path]:
    """All pictures below a folder, sorted; hidden files and folders are left out.

    Links to folders are followed, except one to a folder that it lies in; links to nothing are logged and passed over.
    """
    return sorted(_pictures(folder, frozenset()))


def _pictures(folder: Path, above: frozenset[Path]) -> Iterator[Path]:
    above |= {folder.resolve()}
    for path in folder.iterdir():
        if path.name.startswith("."):
            continue
        if path.is_dir():
            if path.resolve() not in above:
                yield from _pictures(path, above)
        elif path.suffix.lower() in IMAGE_SUFFIXES:
            if path.exists():
                yield path
            else:
                _log.warning("left out: %s is a link to nothing", path)


def split_of(name: str) -> Split:
    """The split of a file, from the hash of its name (with its folders below the root, `/` between them)."""
    bucket = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") % 10
    return {0: Split.VAL, 1: Split.CALIBRATION, 2: Split.TEST}.get(bucket, Split.TRAIN)


@dataclass(frozen=True, slots=True)
class SimulatedSource:
    """Frames of the simulated camera, `FRAMES_PER_SEED` of each camera seed.

    Attributes:
        seed: of the address.
        frames: number of pictures.
        streams: share of them that is taken from streams, in [0, 1].
        closeups: cut-outs that follow each balanced frame.
        stride: every so many frames of a stream are used: neighbours look alike.
        split: which camera seeds.
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
        """Changes with the seeds and with the camera's program; not with the number of frames, which adds parts."""
        import edge_sdk.camera.simulated as simulated

        stride = "" if self.stride == 3 else f" {self.stride}"
        digest = hashlib.sha256(f"{self.seed} {self.streams} {self.closeups} {self.split}{stride}".encode())
        for path in sorted(Path(str(simulated.__file__)).parent.glob("*.py")):
            digest.update(path.read_bytes())
        return digest.hexdigest()[:16]

    def size(self, part: int) -> int:
        """Number of pictures in a part, at most."""
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
    for studio, pairs in groupby(islice(sampled_shots(seed), count), key=itemgetter(1)):
        shots = [shot for shot, _ in pairs]
        boxes = find_changes([shot.image for shot in shots]) if closeups else []
        for index, shot in enumerate(shots):
            label, light = shot.label or "empty", studio.light.mode
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
