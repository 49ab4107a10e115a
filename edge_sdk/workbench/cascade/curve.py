"""Accuracy against cost for every threshold of a little-big cascade, exactly: one sort, no grid.

The rule is Little-Big's (Liu, Thopalli, Thiagarajan, "Speeding Up Image Classifiers with Little Companions", arXiv
2406.17117, section 3): a frame exits when the little model's confidence is at or above the threshold T; else the big
model's prediction replaces the little one's. Every frame pays for the little model, so a frame costs
`little_macs + offload_ratio * big_macs` on average.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_sdk.errors import WorkbenchError

Floats = NDArray[np.floating]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Point:
    """One setting of a cascade, measured on some records.

    Attributes:
        threshold: confidence at or above which a frame exits.
        exit_ratio: share of the frames that exit.
        accuracy: share of the frames that the cascade names rightly.
        macs: multiply-accumulates per frame; NaN: unknown.
        upload_bytes: bytes per frame, exits counted as 0; NaN: unknown.
    """

    threshold: float
    exit_ratio: float
    accuracy: float
    macs: float
    upload_bytes: float


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """A cascade at each of its P distinct settings, from "no frame exits" (first) to "every frame exits" (last).

    Attributes:
        thresholds: `float64 (P,)`, falling; the first is above all confidences, the last lets all exit.
        exits: `int64 (P,)`, frames that exit.
        right: `float64 (P,)`, frames that the cascade names rightly (an expected number where rightness is a chance).
        macs: `float64 (P,)`, multiply-accumulates per frame; NaN: unknown.
        upload_bytes: `float64 (P,)`, bytes per frame; NaN: unknown.
        frames: how many records.
        big_macs: of the big model, per frame; NaN: unknown.
    """

    thresholds: Floats
    exits: NDArray[np.int64]
    right: Floats
    macs: Floats
    upload_bytes: Floats
    frames: int
    big_macs: float

    @property
    def accuracy(self) -> Floats:
        """`float64 (P,)`, share of the frames that the cascade names rightly."""
        return self.right / self.frames

    @property
    def exit_ratio(self) -> Floats:
        """`float64 (P,)`, share of the frames that exit."""
        return self.exits / self.frames

    @property
    def big_accuracy(self) -> float:
        """Accuracy of the big model alone: no frame exits."""
        return float(self.right[0] / self.frames)

    @property
    def little_accuracy(self) -> float:
        """Accuracy of the little model alone: every frame exits."""
        return float(self.right[-1] / self.frames)

    def point(self, index: int) -> Point:
        """Setting `index` of the curve."""
        return Point(
            float(self.thresholds[index]),
            float(self.exit_ratio[index]),
            float(self.accuracy[index]),
            float(self.macs[index]),
            float(self.upload_bytes[index]),
        )

    def at(self, threshold: float) -> Point:
        """The setting that a threshold gives on these records."""
        found = self.point(max(0, int(np.searchsorted(-self.thresholds, -threshold, side="right")) - 1))
        return Point(threshold, found.exit_ratio, found.accuracy, found.macs, found.upload_bytes)

    def area(self) -> float:
        """Area between the curve and the big model's cost, in units of accuracy: the mean accuracy over exit ratios.

        The trapezoid rule over exit ratio from 0 to 1. With costs linear in the exit ratio this is the area under the
        accuracy-cost curve up to a constant, so it ranks confidences; higher is better.
        """
        return float(np.trapezoid(self.accuracy, self.exit_ratio))


def cascade_curve(
    confidence: Floats,
    little_right: Bools,
    big_right: Bools,
    *,
    little_macs: float,
    big_macs: float,
    upload_bytes: NDArray[np.integer] | Floats | None = None,
    offloaded_right: Bools | Floats | None = None,
) -> Curve:
    """Every setting of a cascade on N records; exact, N log N (Little-Big, section 3 and figure 3).

    Args:
        confidence: `float (N,)` of the little model; any score that rises with the chance that it may answer.
        little_right: `bool (N,)`.
        big_right: `bool (N,)`.
        little_macs: multiply-accumulates per frame, paid by every frame; NaN: unknown.
        big_macs: multiply-accumulates per offloaded frame; NaN: unknown.
        upload_bytes: `(N,)` size of each frame on the wire; None: unknown.
        offloaded_right: `(N,)` whether the final answer on a frame is right if it is offloaded, where that is not the
            big model's answer alone (an ensemble); None: `big_right`. The first point still is the big model alone.

    Raises:
        WorkbenchError: arrays of different lengths, no records, or a confidence that is not a number.
    """
    confidence = np.asarray(confidence, np.float64)
    check_records(confidence=confidence, little_right=little_right, big_right=big_right)
    count = len(confidence)
    final = np.asarray(big_right if offloaded_right is None else offloaded_right, np.float64)
    sizes = np.zeros(count) if upload_bytes is None else np.asarray(upload_bytes, np.float64)
    check_records(confidence=confidence, offloaded_right=final, upload_bytes=sizes)
    order = np.argsort(-confidence, kind="stable")
    ordered = confidence[order]
    ends = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
    gained = np.cumsum(np.asarray(little_right, np.float64)[order] - final[order])
    right = float(final.sum()) + np.append(0.0, gained[ends])
    right[0] = float(np.sum(big_right))
    exits = np.append(0, ends + 1).astype(np.int64)
    saved = np.append(0.0, np.cumsum(sizes[order])[ends])
    offloaded = 1 - exits / count
    return Curve(
        thresholds=np.append(above(float(ordered[0])), ordered[ends]),
        exits=exits,
        right=right,
        macs=little_macs + offloaded * big_macs,
        upload_bytes=np.full(len(right), np.nan if upload_bytes is None else 0.0)
        + np.maximum(0.0, (sizes.sum() - saved) / count),
        frames=count,
        big_macs=big_macs,
    )


def lossless(curve: Curve, *, drop: float = 0.0) -> Point:
    """The cheapest setting that loses at most `drop` of accuracy against the big model alone.

    The leftmost intersection of the accuracy-cost curve with the big model's accuracy (Little-Big, section 3). Where
    the little model alone is good enough, T = 0 and every frame exits. Where every exit costs more than
    `drop`, no frame exits and T lies above every confidence.

    Args:
        curve: from `cascade_curve`.
        drop: tolerated loss, as a share of the frames. A negative value demands a gain of that size; if no setting
            reaches it, no frame exits.
    """
    allowed = curve.right[0] - drop * curve.frames - 1e-9
    good = np.flatnonzero(curve.right >= allowed)
    best = int(good[-1]) if len(good) else 0
    found = curve.point(best)
    if best == len(curve.right) - 1:
        found = Point(min(0.0, found.threshold), 1.0, found.accuracy, found.macs, found.upload_bytes)
    return found


def nearest_best(curve: Curve, near: float, *, frames: int = 1) -> Point:
    """Of the settings that are within `frames` frames of the most accurate one, the one nearest to a known threshold.

    A few hundred frames leave a wide range of thresholds that are as good as one another; among those the known one
    is kept, or what comes nearest to it. The big model alone is a setting too, so nothing much below it is chosen.

    Args:
        curve: from `cascade_curve`.
        near: the threshold that is known, such as one that other frames gave.
        frames: how many frames fewer may be right.
    """
    good = np.flatnonzero(curve.right >= curve.right.max() - frames - 1e-9)
    here = max(0, int(np.searchsorted(-curve.thresholds, -near, side="right")) - 1)
    if here in good:
        return curve.at(near)
    return curve.point(int(good[np.abs(curve.thresholds[good] - near).argmin()]))


def within(
    curve: Curve,
    *,
    offload_ratio: float | None = None,
    bytes_per_day: float | None = None,
    frames_per_day: float | None = None,
    macs: float | None = None,
) -> Point:
    """The most accurate setting that keeps every limit given; of equals the cheapest.

    Args:
        curve: from `cascade_curve`.
        offload_ratio: upper limit on the share of frames that go to the cloud.
        bytes_per_day: upper limit on bytes on the wire a day, at `frames_per_day`.
        frames_per_day: frames that the little model sees a day.
        macs: upper limit on multiply-accumulates per frame, both models together.

    Raises:
        WorkbenchError: no limit given, bytes without frames per day or without sizes in the records, or a limit that no
            setting keeps.
    """
    keeps = np.ones(len(curve.right), np.bool_)
    if offload_ratio is None and bytes_per_day is None and macs is None:
        raise WorkbenchError("expected a limit: a share of frames to the cloud, bytes per day or MACs per frame")
    if offload_ratio is not None:
        keeps &= 1 - curve.exit_ratio <= offload_ratio + 1e-12
    if bytes_per_day is not None:
        if not frames_per_day or frames_per_day <= 0:
            raise WorkbenchError(f"expected frames per day above 0 beside bytes per day; got {frames_per_day}")
        if not curve.upload_bytes[0] > 0:
            raise WorkbenchError("expected records with the bytes of each frame on the wire; these have none")
        keeps &= curve.upload_bytes * frames_per_day <= bytes_per_day * (1 + 1e-12)
    if macs is not None:
        if np.isnan(curve.macs[0]):
            raise WorkbenchError("expected records with the MACs of both models; those of one are unknown")
        keeps &= curve.macs <= macs * (1 + 1e-12)
    allowed = np.flatnonzero(keeps)
    if not len(allowed):
        least = curve.point(len(curve.right) - 1)
        cost = "unknown" if np.isnan(least.macs) else f"{least.macs:,.0f}"
        raise WorkbenchError(
            f"no threshold keeps these limits: with every frame exiting a frame costs {cost} MACs, 0 bytes and 0% "
            "offloads"
        )
    right = curve.right[allowed]
    return curve.point(int(allowed[np.flatnonzero(right == right.max())[-1]]))


def above(value: float) -> float:
    """The next float32 above a confidence: used as a threshold, a frame with that confidence does not exit."""
    return float(np.nextafter(np.float32(value), np.float32(np.inf)))


def check_records(**arrays: NDArray[np.generic]) -> None:
    """Check that parallel arrays are `(N,)` of one length, not empty, and hold only numbers.

    Raises:
        WorkbenchError: they are not; the message names the array.
    """
    length = None
    for name, array in arrays.items():
        if array.ndim != 1:
            raise WorkbenchError(f"expected {name} of shape (N,); got {array.shape}")
        if length is None:
            length = len(array)
        if len(array) != length:
            first = next(iter(arrays))
            raise WorkbenchError(f"expected as many of {name} as of {first} ({length}); got {len(array)}")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            bad = int(np.flatnonzero(~np.isfinite(array))[0])
            raise WorkbenchError(f"expected numbers in {name}; got {array[bad]} at record {bad}")
    if not length:
        raise WorkbenchError("expected at least one record; got none")
