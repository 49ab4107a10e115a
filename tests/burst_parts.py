"""The card of a triggered camera: bursts of three photos, some with a visitor, with the times in their EXIF blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import PIL.Image

from edge_sdk.types import Image

NOON = datetime(2026, 6, 1, 12)


@dataclass(frozen=True, slots=True)
class Shot:
    """One photo: its number on the card, when it was taken, what it shows."""

    number: int
    taken: datetime
    label: str
    image: Image

    @property
    def file(self) -> str:
        """As cameras name it; the numbers have no leading zeros, as some cameras have none."""
        return f"IMG_{self.number}.JPG"


def shots(bursts: int = 10, photos: int = 3, seed: int = 1, across: int = 320, down: int = 240) -> list[Shot]:
    """Bursts a minute apart, all photos of one within a second; every other one shows something that walks by."""
    rng = np.random.default_rng(seed)
    scene = rng.integers(80, 140, (down // 8, across // 8, 3)).repeat(8, 0).repeat(8, 1)
    found: list[Shot] = []
    for burst in range(bursts):
        left, top = int(rng.integers(20, across - 100)), int(rng.integers(20, down - 60))
        light = int(rng.integers(-8, 9))
        for photo in range(photos):
            image = scene + light + rng.integers(-3, 4, scene.shape)
            visited = burst % 2 == 1
            if visited:
                image[top : top + 40, left + 12 * photo : left + 12 * photo + 56] = (200, 150, 30)
            taken = NOON + timedelta(minutes=burst)
            label = "fox" if visited else "empty"
            found.append(Shot(len(found) + 7, taken, label, np.clip(image, 0, 255).astype(np.uint8)))
    return found


def write_photo(path: Path, image: Image, taken: datetime | None) -> None:
    """A JPEG with its capture time; None: without one."""
    exif = PIL.Image.Exif()
    if taken is not None:
        exif.get_ifd(0x8769)[0x9003] = f"{taken:%Y:%m:%d %H:%M:%S}"
    path.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.fromarray(image).save(path, exif=exif, quality=95)


def write_card(folder: Path, taken: Sequence[Shot]) -> Path:
    """The card as the camera left it, and `labels.csv` beside its folder of photos."""
    for shot in taken:
        write_photo(folder / "DCIM" / "100MEDIA" / shot.file, shot.image, shot.taken)
    lines = ["file,label", *(f"DCIM/100MEDIA/{shot.file},{shot.label}" for shot in reversed(taken))]
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
    return folder / "labels.csv"


def write_classes(folder: Path, taken: Sequence[Shot], place: str = "ford") -> Path:
    """The same photos sorted into `CLASS/PLACE/`."""
    for shot in taken:
        write_photo(folder / shot.label / place / shot.file, shot.image, shot.taken)
    return folder
