"""Encodings to try for a big model, and the processor time of each."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Literal

import numpy as np

from edge_sdk.errors import WorkbenchError
from edge_sdk.images.encode import encode
from edge_sdk.images.rendition import Upload
from edge_sdk.model.bundle import InputSpec
from edge_sdk.types import Image

Format = Literal["jpeg", "webp"]
FORMATS: tuple[Format, ...] = ("jpeg", "webp")
QUALITIES = (50, 75, 90)
_SIDES = (0.5, 0.75, 1.0, 1.5)
_ROUNDS = 3


def grid(
    input: InputSpec | None,
    usual: Upload,
    *,
    sides: Sequence[int] = (),
    qualities: Sequence[int] = QUALITIES,
    formats: Sequence[Format] = FORMATS,
) -> tuple[Upload, ...]:
    """The encodings to try, each once: sides x qualities x formats, and the usual one.

    Where the big model's preprocessing cuts margins off (`resize` is "crop"), each encoding is tried with the whole
    picture and with the cut one.

    Args:
        input: of the big model; None: unknown.
        usual: the bundle's encoding.
        sides: longest sides in pixels; default: a half, three quarters, one and one and a half times the input's.
        qualities: 1 to 100.
        formats: "jpeg", "webp".

    Raises:
        WorkbenchError: no sides, and the input is not known.
    """
    if not sides and input is None:
        raise WorkbenchError("expected sides to try: the big model does not say what its input is")
    if input is not None and not sides:
        sides = [round(share * max(input.width, input.height)) for share in _SIDES]
    cuts: list[tuple[int, int] | None] = [None]
    if input is not None and input.resize == "crop":
        shared = int(np.gcd(input.width, input.height))
        cuts.append((input.width // shared, input.height // shared))
    tried = [
        Upload(side, quality, format, cut)
        for format in formats
        for cut in cuts
        for side in sides
        for quality in qualities
    ]
    return tuple(dict.fromkeys([*tried, usual]))


def encoding_ms(pictures: Sequence[Image], uploads: Sequence[Upload]) -> tuple[float, ...]:
    """Median processor time of encoding one picture, milliseconds, for each encoding; encodings are timed in turns.

    Args:
        pictures: `uint8 (H, W, 3)` each.
        uploads: the encodings.
    """
    taken: list[list[float]] = [[] for _ in uploads]
    for _ in range(_ROUNDS):
        for picture in pictures:
            for times, upload in zip(taken, uploads, strict=True):
                start = time.process_time()
                encode(picture, upload)
                times.append(1000 * (time.process_time() - start))
    return tuple(float(np.median(times)) for times in taken)
