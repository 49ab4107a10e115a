"""How much priors of place and season count: chosen on the records that fit the temperature.

The device raises the ratio of the priors to a strength s after the temperature T: softmax(z / T) * ratio ** s, made to
sum to 1. s is that of the least negative log-likelihood of softmax(z / T + s log ratio) on the selection part of the
records, which is convex in 1 / T and s; where fewer of these would be right with it, it is 0. The records get the
factor with them (`Records.prior`), so that temperature, gate, threshold and promises are found on what the device
computes. The big model's probabilities are multiplied likewise, by a strength of their own. They have no temperature on
the device; it is fitted here all the same, so that a model that is too sure of itself does not hide what its classes
gain.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from edge_sdk.model.policy import Policy
from edge_sdk.model.priors import PriorRule, Priors, prior_ratio
from edge_sdk.workbench.calibration import FEWEST
from edge_sdk.workbench.cascade.confidence import MAX_TEMPERATURE
from edge_sdk.workbench.cascade.curve import Bools, Floats
from edge_sdk.workbench.cascade.group_split import selection_part
from edge_sdk.workbench.records import Records
from edge_sdk.workbench.taken import Taken

_LEAST = 0.01
"""Strengths below it are none."""


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """Records under priors.

    Attributes:
        little: the little model's, with their factor.
        big: the big model's, multiplied.
        rule: the strengths.
        timed: records of which the month is known.
        placed: records of which the region is known.
        accuracy: of the little model on the evaluation part, without and with the priors.
        big_accuracy: the same of the big model.
    """

    little: Records
    big: Records
    rule: PriorRule
    timed: int
    placed: int
    accuracy: tuple[float, float]
    big_accuracy: tuple[float, float]

    def sentence(self) -> str:
        """The result in words."""
        rule = self.rule
        little, big = (f"{before:.1%} -> {after:.1%}" for before, after in (self.accuracy, self.big_accuracy))
        return (
            f"priors: {self.timed} of {len(self.little)} pictures have a month, {self.placed} a region; strength "
            f"{rule.strength:.2f}, for the cloud's answers {rule.cloud:.2f}; accuracy without and with: "
            f"little {little}, big {big}"
        )


def with_priors(
    little: Records, big: Records, table: Priors, taken: Taken, *, floor: float = 0.02, rows: Bools | None = None
) -> Placed:
    """Choose the strengths and put the priors into both models' records.

    Args:
        little: labelled records with all probabilities.
        big: the big model's, of the same pictures; unchanged where only the top class is known.
        table: the priors.
        taken: when and where the pictures were taken.
        floor: part of the prior that is the training prior.
        rows: `bool (N,)`, the records that may choose; None: all.

    Raises:
        WorkbenchError: too few records, or of too few sources.
    """
    split = selection_part(little.group_names, fewest=FEWEST // 4)
    fitting = split if rows is None else split & rows
    ratios = log_ratios(table, little.info.labels, taken, floor)
    strength = fit_strength(little.logits[fitting], ratios[fitting], little.truths[fitting])
    moved = _weighted(little, ratios, strength)
    if _right(moved, fitting) < _right(little, fitting):
        strength, moved = 0.0, little
    cloud, moved_big = 0.0, big
    if big.probabilities is not None:
        cloud = fit_strength(big.logits[fitting], ratios[fitting], big.truths[fitting])
        moved_big = _multiplied(big, ratios, cloud)
        if moved_big.right[fitting].sum() < big.right[fitting].sum():
            cloud, moved_big = 0.0, big
    return Placed(
        moved,
        moved_big,
        PriorRule(strength, cloud, floor),
        timed=int((taken.months > 0).sum()),
        placed=sum(region is not None for region in taken.regions),
        accuracy=(_share(_right(little, ~split, fitting), ~split), _share(_right(moved, ~split, fitting), ~split)),
        big_accuracy=(float(big.right[~split].mean()), float(moved_big.right[~split].mean())),
    )


def log_ratios(table: Priors, labels: tuple[str, ...], taken: Taken, floor: float) -> NDArray[np.float32]:
    """`float32 (N, C)`: log of the ratio of the priors for each picture, as the device takes it."""
    found: dict[tuple[str | None, int], NDArray[np.float32]] = {}
    rows = []
    for region, month in zip(taken.regions, taken.months.tolist(), strict=True):
        key = region, month
        if key not in found:
            silent = region is None and bool(table.regions)
            ratio = np.ones(len(labels)) if silent else prior_ratio(table, labels, region, month or None, floor)
            found[key] = np.log(ratio).astype(np.float32)
        rows.append(found[key])
    return np.stack(rows)


def in_policy(policy: Policy, placed: Placed | None) -> Policy:
    """The policy with the rule of the priors; None: none."""
    return policy if placed is None else msgspec.structs.replace(policy, priors=placed.rule)


def fit_strength(logits: Floats, ratios: Floats, truths: NDArray[np.integer]) -> float:
    """The strength s in [0, 1] of the least negative log-likelihood of softmax(z / T + s log ratio), over T too.

    Args:
        logits: `float (N, C)`, z; of a model that looks twice those of its mean.
        ratios: `float (N, C)`, log ratios.
        truths: `int (N,)`.
    """
    if not np.ptp(ratios, axis=1).any():
        return 0.0
    z, prior, rows = logits.astype(np.float64), ratios.astype(np.float64), np.arange(len(truths))
    z -= z.max(axis=1, keepdims=True)

    def loss(at: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        scaled = at[0] * z + at[1] * prior
        scaled -= scaled.max(axis=1, keepdims=True)
        weights = np.exp(scaled)
        total = weights.sum(axis=1)
        weights /= total[:, None]
        slopes = [float(((weights * one).sum(axis=1) - one[rows, truths]).mean()) for one in (z, prior)]
        return float((np.log(total) - scaled[rows, truths]).mean()), np.array(slopes)

    bounds = [(1 / MAX_TEMPERATURE, MAX_TEMPERATURE), (0.0, 1.0)]
    found = float(minimize(loss, np.array([1.0, 0.5]), jac=True, method="L-BFGS-B", bounds=bounds).x[1])
    return round(found, 4) if found >= _LEAST else 0.0


def _weighted(records: Records, ratios: NDArray[np.float32], strength: float) -> Records:
    if not strength:
        return records
    moved = replace(records, prior=np.float32(strength) * ratios)
    chances = moved.calibrated(1.0)
    return replace(moved, predicted=chances.argmax(axis=1), confidence=chances.max(axis=1))


def _multiplied(records: Records, ratios: NDArray[np.float32], strength: float) -> Records:
    if not strength:
        return records
    chances = _weighted(replace(records, looks=None), ratios, strength).calibrated(1.0)
    top = {"predicted": chances.argmax(axis=1), "confidence": chances.max(axis=1)}
    return replace(records, probabilities=chances.astype(np.float16), energy=None, looks=None, **top)


def _right(records: Records, part: Bools, fitting: Bools | None = None) -> int:
    """How many of a part are right, at the temperature of the fitting part (None: the same one)."""
    chances = records.part(part).calibrated(records.fit_temperature(part if fitting is None else fitting))
    return int((chances.argmax(axis=1) == records.truths[part]).sum())


def _share(right: int, part: Bools) -> float:
    return right / int(part.sum())
