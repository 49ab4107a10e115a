"""Exit or offload: a bundle's settings (`policy.json`), and the decision on one frame.

The rule is Little-Big's (Liu, Thopalli, Thiagarajan, "Speeding Up Image Classifiers with Little Companions",
arXiv 2406.17117): the frame exits when the little model's confidence is at or above a threshold, and otherwise the
big model's prediction replaces the little one's. Confidence is the top probability after temperature scaling. Where
calibration found that a learned gate ranks frames better, the frame exits when the gain that the gate expects of a
second opinion is at or below a limit. Threshold, temperature and gate come from `policy.json`.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from edge_sdk.errors import ConfigError
from edge_sdk.types import Prediction, Reason

_Positive = Annotated[int, Meta(ge=1)]


MIN_SIDE = 16
"""Least longest side of a picture that travels, pixels."""


class Upload(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a picture travels to the cloud.

    Attributes:
        max_side: the longer side is scaled down to this many pixels; smaller pictures stay as they are.
        quality: of the JPEG or the lossy WebP, 1 to 100.
        format: of the picture.
        crop: width and height, in any unit: the largest centred part of these proportions travels, which is all that a
            big model sees whose own preprocessing cuts the margins off; None: the whole frame.
    """

    max_side: Annotated[int, Meta(ge=MIN_SIDE)] = 640
    quality: Annotated[int, Meta(ge=1, le=100)] = 85
    format: Literal["jpeg", "webp"] = "jpeg"
    crop: tuple[_Positive, _Positive] | None = None

    @property
    def name(self) -> str:
        """Short and unique, such as "640@85", "320@75.webp" or "224@75+crop1x1"."""
        cut = f"+crop{self.crop[0]}x{self.crop[1]}" if self.crop else ""
        return f"{self.max_side}@{self.quality}{'' if self.format == 'jpeg' else '.' + self.format}{cut}"


class Rung(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One way for a picture to travel, what it costs and what it keeps.

    Attributes:
        upload: the encoding.
        mean_bytes: of the encoded pictures that it was measured on.
        kept: how much of a second opinion's worth is kept, against the best rung, in (0, 1]: the big model's accuracy
            less the little one's on the offloaded pictures, over the same at the best rung. So a frame whose second
            opinion is worth `gain` at the best rung is worth `gain * kept` at this one.
    """

    upload: Upload
    mean_bytes: Annotated[float, Meta(gt=0)]
    kept: Annotated[float, Meta(gt=0, le=1)]


class GainTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A learned gate: the gain that a second opinion is expected to bring, by the class that the little model names.

    Attributes:
        confidences: K rising confidences, K >= 2.
        gains: per class, in the order of the bundle's labels, the expected gain at each of them: P(big right) less
            P(little right), in [-1, 1]; straight lines between, constant outside.
        exit_at_or_below: a frame exits when its expected gain is at most this.
    """

    confidences: tuple[float, ...]
    gains: tuple[tuple[float, ...], ...]
    exit_at_or_below: float = 0.0

    def __post_init__(self) -> None:
        knots = self.confidences
        if len(knots) < 2 or any(not a < b for a, b in pairwise(knots)):
            raise ValueError(f"expected two or more rising `confidences`; got {list(knots)}")
        if not self.gains or any(len(row) != len(knots) for row in self.gains):
            raise ValueError(f"expected rows of {len(knots)} `gains`, one row per class")

    def gain(self, label: int, confidence: float) -> float:
        """The expected gain on a frame of which the little model names class `label` with `confidence`."""
        knots, row = self.confidences, self.gains[label]
        right = bisect_right(knots, confidence)
        if right == 0:
            return row[0]
        if right == len(knots):
            return row[-1]
        share = (confidence - knots[right - 1]) / (knots[right] - knots[right - 1])
        return row[right - 1] + share * (row[right] - row[right - 1])


class Histogram(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Confidences of the little model on the calibration frames, to tell later whether frames have changed.

    Attributes:
        edges: K rising bounds in (0, 1) between K + 1 bins; a confidence on a bound is in the bin above it.
        counts: frames in each of the K + 1 bins.
    """

    edges: tuple[float, ...]
    counts: tuple[int, ...]

    def __post_init__(self) -> None:
        if any(not a < b for a, b in pairwise(self.edges)) or not self.edges:
            raise ValueError(f"expected one or more rising `edges`; got {list(self.edges)}")
        if len(self.counts) != len(self.edges) + 1 or min(self.counts) < 0 or sum(self.counts) == 0:
            raise ValueError(f"expected {len(self.edges) + 1} `counts` of 0 or more; got {list(self.counts)}")


class Policy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to use a little model (`policy.json`), as calibration found it.

    The default is cautious: an uncalibrated network is often overconfident, so it must claim 0.8 before a frame exits.

    Attributes:
        schema: version of this format.
        threshold: confidence at or above which a frame exits, in [0, 1]; not used where there is a gate.
        temperature: logits are divided by it before the softmax.
        gate: the learned gate; None: the threshold decides.
        ensemble: weight of the little model's probabilities in the answer on an offloaded frame; 0: the big model's
            answer stands alone.
        confidences: of the calibration frames; None: unknown.
        upload: how pictures travel.
        ladder: encodings to choose from for each frame; each is dearer than the one before and keeps more. Empty: not
            measured, `upload` is for all.
        big_macs: multiply-accumulates per frame of the big model it was calibrated against; 0: unknown.
        calibration: facts of the calibration, for the reader: samples, date, accuracies, exit ratio.
    """

    schema: Literal[1] = 1
    threshold: Annotated[float, Meta(ge=0, le=1)] = 0.8
    temperature: Annotated[float, Meta(gt=0)] = 1.0
    gate: GainTable | None = None
    ensemble: Annotated[float, Meta(ge=0, lt=1)] = 0.0
    confidences: Histogram | None = None
    upload: Upload = Upload()
    ladder: tuple[Rung, ...] = ()
    big_macs: Annotated[int, Meta(ge=0)] = 0
    calibration: dict[str, float | int | str] = {}

    def __post_init__(self) -> None:
        if any(not (one.mean_bytes < two.mean_bytes and one.kept < two.kept) for one, two in pairwise(self.ladder)):
            came = [(one.mean_bytes, one.kept) for one in self.ladder]
            raise ValueError(f"expected a `ladder` of rising `mean_bytes` and rising `kept`; got {came}")


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do with one frame.

    Attributes:
        exits: True: the device's answer is final. False: the frame is to be offloaded.
        reason: why.
        gain: what a second opinion is expected to be worth, in [0, 1]: the gate's estimate, or without one 1 -
            confidence, the little model's own estimate of its chance to be wrong. Frames of higher gain leave first and
            are dropped last.
    """

    exits: bool
    reason: Reason
    gain: float


class ExitPolicy:
    """Decides which frames exit.

    Args:
        settings: the bundle's `policy.json`.
        threshold: a confidence to use instead of the bundle's own rule: 0 lets every frame exit, a value above 1 none.

    Raises:
        ConfigError: the threshold is negative or not a number.
    """

    def __init__(self, settings: Policy, threshold: float | None = None) -> None:
        if threshold is not None and not threshold >= 0:
            raise ConfigError(f"expected a threshold of 0 or more; got {threshold!r}")
        self._gate = settings.gate if threshold is None else None
        self._threshold = settings.threshold if threshold is None else threshold

    @property
    def threshold(self) -> float | None:
        """The confidence at or above which a frame exits; None where a learned gate decides."""
        return None if self._gate else self._threshold

    def decide(self, prediction: Prediction) -> Decision:
        """Judge one prediction."""
        top = prediction.top
        confidence = float(prediction.probabilities[top])
        if self._gate is not None:
            gain = self._gate.gain(top, confidence)
            exits = gain <= self._gate.exit_at_or_below
        else:
            gain = 1.0 - confidence
            exits = confidence >= self._threshold
        return Decision(exits, Reason.CONFIDENT if exits else Reason.UNSURE, max(0.0, gain))
