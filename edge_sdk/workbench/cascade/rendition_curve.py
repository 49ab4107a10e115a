"""Which encodings are worth having, and the cheapest safe one, from a big model's answers after each encoding.

K encodings of the same N pictures, the renditions, are compared pairwise: only pictures on which the big model is
right after one of two encodings and wrong after the other tell them apart. Choices are made on the selection part of
the pictures; figures and promises come from the evaluation part:

- The front. The raw front holds each rendition that is more accurate than every cheaper one. Noise makes it long:
  among equally good renditions, each beats the cheaper ones half of the time. The robust front starts at the cheapest
  rendition and takes the next dearer one that beats the last one taken by an exact one-sided sign test (McNemar,
  Psychometrika 12, 1947) at `level / (K - 1)`. If no rendition is better than the cheapest, the front holds a second
  one with a probability of at most `level` (Bonferroni).
- The safe rendition. The selection part puts the renditions in an order from the safest to the cheapest. On the
  evaluation part they are tested in that order, for as long as "loses more than `drop` against unencoded pictures" is
  rejected (fixed sequence testing with the exact test of `guarantee`). The last one that passes is the cheapest for
  which the promise holds with probability 1 - delta.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from edge_sdk.errors import WorkbenchError
from edge_sdk.workbench.cascade.curve import Bools, Floats, check_records
from edge_sdk.workbench.cascade.paired import Difference, paired_difference
from edge_sdk.workbench.cascade.score_test import guaranteed_loss, loss_p_value

_Ints = NDArray[np.int64]


def raw_front(costs: Floats, values: Floats) -> list[int]:
    """Indices of the renditions that are worth more than every cheaper one, by rising cost; of equals the first.

    Args:
        costs: `float (K,)`.
        values: `float (K,)`.
    """
    front: list[int] = []
    for index in np.lexsort((-values, costs)).tolist():
        if not front or values[index] > values[front[-1]]:
            front.append(index)
    return front


def robust_front(costs: Floats, right: Bools, *, level: float) -> list[int]:
    """Indices of renditions by rising cost, each better beyond noise than the one before (see the module).

    Args:
        costs: `float (K,)`.
        right: `bool (K, N)`, whether the answer on each picture is right at each rendition.
        level: of the test, in (0, 1).
    """
    order = np.lexsort((-right.sum(axis=1), costs)).tolist()
    front = [order[0]]
    for index in order[1:]:
        last = right[front[-1]]
        won, lost = int((right[index] & ~last).sum()), int((last & ~right[index]).sum())
        if stats.binom.sf(won - 1, won + lost, 0.5) <= level / (len(costs) - 1):
            front.append(index)
    return front


def safest_first(costs: Floats, p_values: Floats) -> list[int]:
    """The order of the walk: renditions than which no cheaper one is as safe, by falling cost.

    Args:
        costs: `float (K,)`.
        p_values: `float (K,)`, of "loses too much" on the selection part.
    """
    return raw_front(costs, -p_values)[::-1]


def last_safe(order: list[int], p_values: Floats, delta: float) -> int | None:
    """The last rendition of a walk before the first whose p-value is above delta; None where the first is.

    Args:
        order: indices, fixed without looking at the p-values.
        p_values: `float (K,)`, of "loses too much" on the evaluation part.
        delta: tolerated chance that the promise fails.
    """
    found = None
    for index in order:
        if p_values[index] > delta:
            break
        found = index
    return found


@dataclass(frozen=True, slots=True, eq=False)
class Trials:
    """The big model's answers on N offloaded pictures after each of K encodings.

    Attributes:
        sizes: `int64 (K, N)`, bytes of the encoded pictures.
        right: `bool (K, N)`, whether its answer is right.
        original_right: `bool (N,)`, the same for the pictures as they are.
        little_right: `bool (N,)`, of the little model.
        selection: `bool (N,)`, the pictures of the selection part; the rest is the evaluation part.
        selection_frames: all frames of the selection part, those that exit too: no encoding changes an exit.
        evaluation_frames: all frames of the evaluation part.
    """

    sizes: _Ints
    right: Bools
    original_right: Bools
    little_right: Bools
    selection: Bools
    selection_frames: int
    evaluation_frames: int

    def __post_init__(self) -> None:
        check_records(original_right=self.original_right, little_right=self.little_right, selection=self.selection)
        shape = (len(self.right), len(self.selection))
        if not shape[0] or self.right.shape != shape or self.sizes.shape != shape:
            raise WorkbenchError(
                f"expected sizes and right of one shape (K, {shape[1]}) with K of 1 or more; "
                f"got {self.sizes.shape} and {self.right.shape}"
            )
        chosen = int(self.selection.sum())
        if not 0 < chosen < shape[1]:
            raise WorkbenchError(
                f"expected pictures to select on and pictures to evaluate on; got {chosen} of {shape[1]}"
            )
        if self.selection_frames < chosen or self.evaluation_frames < shape[1] - chosen:
            raise WorkbenchError(
                f"expected as many frames as offloaded pictures or more; got {self.selection_frames} for {chosen} and "
                f"{self.evaluation_frames} for {shape[1] - chosen}"
            )

    def mean_bytes(self, part: Bools) -> Floats:
        """`float64 (K,)`, bytes a picture on some of the pictures."""
        return np.asarray(self.sizes[:, part].mean(axis=1), np.float64)

    def accuracy(self, part: Bools) -> Floats:
        """`float64 (K,)`, share of right answers on some of the pictures."""
        return np.asarray(self.right[:, part].mean(axis=1), np.float64)

    def changed(self, part: Bools) -> tuple[_Ints, _Ints]:
        """`int64 (K,)` each: pictures that are lost and that are won against the pictures as they are."""
        right, original = self.right[:, part], self.original_right[part]
        return (original & ~right).sum(axis=1), (right & ~original).sum(axis=1)


@dataclass(frozen=True, slots=True)
class EvaluatedRendition:
    """One rendition on the evaluation part.

    Attributes:
        mean_bytes: of its pictures.
        accuracy: of the big model on them.
        difference: that accuracy less the accuracy on the pictures as they are.
        promise: upper bound on the accuracy that the cascade loses, over all frames, against unencoded pictures; holds
            with probability 1 - delta for each rendition by itself.
        relative_gain: as in `edge_sdk.images.rendition.Rendition`, relative to the ladder's last rendition; may be
            negative or above 1 for a rendition that is not on the ladder; NaN if the ladder is empty.
    """

    mean_bytes: float
    accuracy: float
    difference: Difference
    promise: float
    relative_gain: float


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """What was chosen among K renditions, and each rendition on the evaluation part.

    Attributes:
        ladder: indices by rising bytes, each more accurate than the one before; empty if the big model is no better
            than the little one after any encoding.
        safe: the cheapest rendition that loses at most `drop`, or None if that can be promised for none.
        safest: the first rendition tested: on the selection part, the least likely to lose more than `drop`.
        evaluated: the K renditions.
        little_accuracy: on the evaluation part's offloaded pictures.
        original_accuracy: of the big model on them as they are.
    """

    ladder: list[int]
    safe: int | None
    safest: int
    evaluated: list[EvaluatedRendition]
    little_accuracy: float
    original_accuracy: float


def choose_ladder(
    trials: Trials, *, drop: float, delta: float = 0.05, level: float = 0.05, raw: bool = False
) -> Choice:
    """The ladder and the safe rendition (see the module).

    The ladder holds the front of the selection part and the safe rendition, less those that are no more accurate than a
    cheaper one on the evaluation part.

    Args:
        trials: the records.
        drop: tolerated loss of accuracy over all frames against the pictures as they are, in (0, 1).
        delta: tolerated chance that this promise fails, in (0, 1/4].
        level: of the robust front's test, in (0, 1).
        raw: take the raw front instead.

    Raises:
        WorkbenchError: drop, delta or level is out of range.
    """
    if not 0 < drop < 1 or not 0 < delta <= 0.25 or not 0 < level < 1:
        raise WorkbenchError(
            f"expected drop and level in (0, 1) and delta in (0, 1/4]; got {drop}, {level} and {delta}"
        )
    selection, evaluation = trials.selection, ~trials.selection
    costs = trials.mean_bytes(selection)
    fitted = loss_p_value(*trials.changed(selection), trials.selection_frames, drop, delta)
    lost, won = trials.changed(evaluation)
    tested = loss_p_value(lost, won, trials.evaluation_frames, drop, delta)
    order = safest_first(costs, fitted)
    safe = last_safe(order, tested, delta)
    if raw:
        front = raw_front(costs, trials.accuracy(selection))
    else:
        front = robust_front(costs, trials.right[:, selection], level=level)
    sizes, accuracy = trials.mean_bytes(evaluation), trials.accuracy(evaluation)
    little = float(trials.little_right[evaluation].mean())
    members = np.array(sorted({*front} | ({safe} if safe is not None else set())))
    members = members[accuracy[members] > little]
    ladder = [int(members[index]) for index in raw_front(sizes[members], accuracy[members])]
    worth = (accuracy - little) / (accuracy[ladder[-1]] - little) if ladder else np.full(len(accuracy), np.nan)
    evaluated = [
        EvaluatedRendition(
            float(sizes[index]),
            float(accuracy[index]),
            paired_difference(trials.right[index, evaluation], trials.original_right[evaluation]),
            guaranteed_loss(int(lost[index]), int(won[index]), trials.evaluation_frames, delta),
            float(worth[index]),
        )
        for index in range(len(accuracy))
    ]
    return Choice(ladder, safe, order[0], evaluated, little, float(trials.original_right[evaluation].mean()))
