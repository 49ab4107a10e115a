"""Thresholds of a rollup along a taxonomy, with a promise on the answers that are given.

What is promised. Let a(t) be the share of the given answers (all but the root) that are wrong at threshold t, where an
answer is right if the true class is at or below its node. The threshold t that is found has P(a(t) <= alpha) >= 1 -
delta over the draw of the records, by the walk of Learn then Test from strict to loose thresholds
(`edge_sdk.workbench.cascade.guarantee`) with the exact binomial p-value of `edge_sdk.workbench.cascade.alignment`:
given how many answers are given at t, the number of wrong ones is binomial. Nothing is assumed of the shape of a. The
loosest such threshold gives the finest answers.

The device's threshold is of all frames, its provisional answers included. The cloud's is of those frames that go to the
cloud under the policy, which are harder than others; the policy is taken as given, though the same records may have
chosen it. Where these are too few to promise anything, the cloud's answers
are given as they are.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge_sdk.errors import WorkbenchError
from edge_sdk.model.drift import confidence_histogram
from edge_sdk.model.policy import Policy
from edge_sdk.model.taxonomy import Rollup, RollupRule, Taxonomy
from edge_sdk.workbench.calibration import FEWEST
from edge_sdk.workbench.cascade.alignment import share_p_value
from edge_sdk.workbench.cascade.curve import Bools, Floats
from edge_sdk.workbench.cascade.exits import exits_of
from edge_sdk.workbench.cascade.group_split import selection_part
from edge_sdk.workbench.cascade.guarantee import fixed_sequence
from edge_sdk.workbench.records import Records

_CANDIDATES = 200


@dataclass(frozen=True, slots=True)
class RollupPoint:
    """What a threshold gives on records.

    Attributes:
        threshold: the least probability of an answer.
        records: how many.
        classes: of them, answered with a class.
        groups: answered with a group; the others with the root.
        wrong: answers, classes or groups, that are wrong.
        p_value: of the promise, at most delta where it holds.
    """

    threshold: float
    records: int
    classes: int
    groups: int
    wrong: int
    p_value: float = 1.0

    @property
    def given(self) -> int:
        """Answers that are not the root."""
        return self.classes + self.groups

    @property
    def accuracy(self) -> float:
        """Share of the given answers that are right; NaN where none is."""
        return 1 - self.wrong / self.given if self.given else float("nan")

    def sentence(self, who: str) -> str:
        """The result in words."""
        return (
            f"{who}: at {self.threshold:.4f} or more, {self.classes / self.records:.1%} of {self.records} frames are "
            f"answered with a class and {self.groups / self.records:.1%} with a group; {self.accuracy:.1%} of these "
            "answers are right"
        )


@dataclass(frozen=True, slots=True)
class RollupCalibration:
    """What was found, on the evaluation part.

    Attributes:
        rule: for the policy.
        device: of the device's answers.
        cloud: of the cloud's; None: they are given as they are.
        exits: share of the frames that exit, groups among them where the rule says so.
        right: share of the answers that the rule promises to be right.
        delta: chance that the promise fails, for each of the two.
    """

    rule: RollupRule
    device: RollupPoint
    cloud: RollupPoint | None
    exits: float
    right: float
    delta: float

    def sentences(self) -> list[str]:
        """The result in words."""
        cloud = "cloud: too few frames go there to promise anything; its answers are given as they are"
        return [
            f"with {1 - self.delta:.0%} confidence {self.right:.0%} of the answers, classes or groups, are right",
            self.device.sentence("device"),
            cloud if self.cloud is None else self.cloud.sentence("cloud"),
            f"{1 - self.exits:.1%} of frames go to the cloud",
        ]


def calibrate_rollup(
    little: Records,
    big: Records,
    taxonomy: Taxonomy,
    policy: Policy,
    *,
    right: float = 0.9,
    delta: float = 0.05,
    exits: bool = False,
) -> RollupCalibration:
    """Find the thresholds of both models' answers.

    Args:
        little: the bundle's labelled records, with all probabilities.
        big: the big model's.
        taxonomy: which groups the classes belong to.
        policy: as it was calibrated on the same records.
        right: share of the given answers that is to be right, in (0, 1).
        delta: chance that the promise fails, in (0, 1/4], for each of the two thresholds.
        exits: whether a frame exits where a group is sure.

    Raises:
        WorkbenchError: too few records, a value out of range, or nothing can be promised of the device's answers.
    """
    if not 0 < right < 1 or not 0 < delta <= 0.25:
        raise WorkbenchError(f"expected a share in (0, 1) and delta in (0, 1/4]; got {right} and {delta}")
    fitting = selection_part(little.group_names, fewest=FEWEST // 4)
    rollup, chances = Rollup(taxonomy, little.info.labels), little.calibrated_by(policy)
    found = rollup_threshold(rollup, chances, little.truths, fitting, right=right, delta=delta)
    if found is None:
        raise WorkbenchError(
            f"these {int((~fitting).sum())} evaluation pictures cannot promise, with {1 - delta:.0%} confidence, that "
            f"{right:.0%} of the answers are right, at any threshold; more pictures promise more, and so does a lower "
            "share"
        )
    gone = exits_of(policy, little, chances)
    if exits:
        gone = gone | (rollup.chosen(chances, found.threshold) < len(rollup.names) - 1)
    cloud = None
    if big.probabilities is not None:
        final = _final(policy, little.with_region, chances, big)
        cloud = rollup_threshold(rollup, final, big.truths, fitting, right=right, delta=delta, among=~gone)
    rule = RollupRule(found.threshold, None if cloud is None else cloud.threshold, exits)
    return RollupCalibration(rule, found, cloud, float(gone[~fitting].mean()), right, delta)


def rollup_threshold(
    rollup: Rollup,
    chances: NDArray[np.float32],
    truths: NDArray[np.integer],
    fitting: Bools,
    *,
    right: float,
    delta: float,
    among: Bools | None = None,
) -> RollupPoint | None:
    """The loosest threshold that keeps the promise, on the records that fitted nothing; None: there is none.

    Args:
        rollup: nodes over the labels.
        chances: `float32 (N, C)`, calibrated.
        truths: `int (N,)`.
        fitting: `bool (N,)`, the records that say which thresholds are tried, and where the walk starts.
        right: share of the given answers that is to be right.
        delta: chance that the promise fails.
        among: `bool (N,)`, the frames that are answered so; None: all.
    """
    mine = np.ones(len(truths), np.bool_) if among is None else among
    parts = [(chances[part], truths[part]) for part in (fitting & mine, ~fitting & mine)]
    if not (len(parts[0][1]) and len(parts[1][1])):
        return None
    alpha, walk = 1 - right, _candidates(rollup, parts[0][0])
    sums = [rollup.sums(chances) for chances, _ in parts]
    first = [rollup_point(rollup, *parts[0], threshold, sums[0]) for threshold in walk]
    given, wrong = (np.array([getattr(one, name) for one in first], np.float64) for name in ("given", "wrong"))
    # The largest distance from alpha in standard deviations, as in `aligned_start`.
    start = int(np.argmax((alpha - (wrong + alpha) / (given + 1)) * np.sqrt(given)))
    points = [rollup_point(rollup, *parts[1], threshold, sums[1]) for threshold in walk[start:]]

    def p_values(chunk: slice) -> Floats:
        counts = [np.array([getattr(one, name) for one in points[chunk]]) for name in ("wrong", "given")]
        return share_p_value(counts[0], counts[1], alpha)

    best, p_value = fixed_sequence(p_values, len(points), delta)
    return None if best is None else replace(points[best], p_value=p_value)


def rollup_point(
    rollup: Rollup,
    chances: NDArray[np.float32],
    truths: NDArray[np.integer],
    threshold: float,
    sums: NDArray[np.float32] | None = None,
) -> RollupPoint:
    """What a threshold gives on labelled records; `sums` are `Rollup.sums`, where they are known."""
    chosen, root = rollup.chosen(chances, threshold, sums), len(rollup.names) - 1
    classes = int((chosen < chances.shape[1]).sum())
    groups = int((chosen < root).sum()) - classes
    wrong = int((~rollup.holds[chosen, truths]).sum())  # the root holds every class
    return RollupPoint(threshold, len(truths), classes, groups, wrong)


def in_policy(policy: Policy, found: RollupCalibration, little: Records, taxonomy: Taxonomy) -> Policy:
    """The policy with the rule; the usual confidences become those of the answers that are given (`check_drift`)."""
    rollup, chances = Rollup(taxonomy, little.info.labels), little.calibrated_by(policy)
    given = rollup.confidences(chances, rollup.chosen(chances, found.rule.threshold))
    if policy.regions is None:
        return msgspec.structs.replace(policy, rollup=found.rule, confidences=confidence_histogram(given))
    whole, near = (confidence_histogram(given[little.with_region == looked]) for looked in (False, True))
    regions = msgspec.structs.replace(policy.regions, confidences=near)
    return msgspec.structs.replace(policy, rollup=found.rule, confidences=whole, regions=regions)


def _candidates(rollup: Rollup, chances: NDArray[np.float32]) -> list[float]:
    """Falling thresholds: quantiles of the probabilities of the likeliest class and of the groups above it."""
    top = chances.argmax(axis=1)
    above = rollup.holds[:-1, top].T  # (N, C + K)
    values = [np.where(above[:, column], chances @ rollup.holds[column], np.nan) for column in _groups(rollup, chances)]
    values.append(chances.max(axis=1))
    known = np.concatenate(values)
    quantiles = np.quantile(known[~np.isnan(known)], np.linspace(0, 1, _CANDIDATES))
    falling: list[float] = np.unique(np.minimum(quantiles, 1.0))[::-1].tolist()
    return falling


def _groups(rollup: Rollup, chances: NDArray[np.float32]) -> range:
    return range(chances.shape[1], len(rollup.names) - 1)


def _final(policy: Policy, near: Bools, chances: NDArray[np.float32], big: Records) -> NDArray[np.float32]:
    """What is said of frames that went to the cloud, `float32 (N, C)`: of the big model, or of both together."""
    assert big.probabilities is not None
    said = big.probabilities.astype(np.float32)
    weight = np.where(near, policy.of_look(near=True).ensemble, policy.ensemble)[:, None]
    return np.asarray(weight * chances + (1 - weight) * said, np.float32)
