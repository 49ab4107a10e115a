"""Calibration with labels only where they matter (`questions`), by the rules that a guarantee stands behind.

What is fitted uses no label: the temperature makes the little model's confidence the chance that the big model says the
same; the gate, the ensemble and the plain rules need the classes of all frames and are left out. The thresholds of the
walk come from the selection part. The evaluation part's frames on which the models differ are asked in the order of the
walk, from the surest down, so the result after k answers is that of a walk that ends where the first answer is missing.
A walk that ends early promises less and nothing wrong, so a person may stop, look at the result and go on.

Theorem. The p-value at T depends on the frames on which exactly one model is right and that exit at T. Such a frame is
one on which the models differ. So a walk over thresholds above the first frame without an answer takes the same steps
with these answers as with all labels, and so does the whole walk once the frame at which it ends is answered.

Where the walk starts at the strictest threshold (`eps` above 0) the selection part needs no label. With `eps` of 0 or
less and for `as_right`, the start is found on the selection part, whose questions come first; until all of those are
answered there is no walk, since a start that moves with later answers would be a second try at the same promise.

No prediction stands in for a label. Prediction-powered inference (arXiv 2301.09633) and its cross-fitted form (arXiv
2309.16598) shorten an interval by the variance of the loss that a prediction explains, on frames beyond those that are
labelled. Here the loss of all frames on which the models agree is known exactly without it, and of the rest a
prediction explains a tenth to a fifth. With unlabelled frames for nothing that would shorten a bound by about a tenth;
but its interval holds in the limit alone, and at strict thresholds, which every walk passes, it misses twice as often
as it may (`benchmarks/few_labels.py`). So it is not used: no version of it is exact for few differences.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_sdk.errors import WorkbenchError
from edge_sdk.images.rendition import Upload
from edge_sdk.model.drift import confidence_histogram
from edge_sdk.model.policy import Policy
from edge_sdk.workbench.agreement import measure_agreement
from edge_sdk.workbench.calibration import FEWEST, Rule, in_words, sending, sharing
from edge_sdk.workbench.cascade.alignment import aligned_start, aligned_threshold
from edge_sdk.workbench.cascade.curve import Bools, Floats
from edge_sdk.workbench.cascade.group_split import selection_part
from edge_sdk.workbench.cascade.guarantee import guaranteed_threshold, likely_start, quantile_candidates
from edge_sdk.workbench.cascade.paired import Difference, paired_difference
from edge_sdk.workbench.questions import Questions, answered
from edge_sdk.workbench.records import UNKNOWN, Records, check_same


@dataclass(frozen=True, slots=True, eq=False)
class FewLabels:
    """The result of a calibration with few labels.

    Attributes:
        policy: to be written into the bundle.
        rule: what was asked for.
        exit_ratio: share of the evaluation part that exits.
        upload_bytes: per frame, exits counted as 0; NaN: unknown.
        lost: frames of the evaluation part that exit and on which only the big model is right.
        won: those that exit and on which only the little model is right.
        evaluated: frames of the evaluation part.
        difference: the cascade's accuracy less the big model's on it.
        answers: how many answers there were.
        used: how many of them the walk used.
        missing: how many questions have no answer.
        complete: whether the walk ended by itself, so that more answers change nothing.
        pictures: number of records, both parts together.
    """

    policy: Policy
    rule: Rule
    exit_ratio: float
    upload_bytes: float
    lost: int
    won: int
    evaluated: int
    difference: Difference
    answers: int
    used: int
    missing: int
    complete: bool
    pictures: int

    def sentence(self) -> str:
        """The result in words."""
        rule = self.rule
        if rule.as_right is not None:
            promise = f"with {1 - rule.delta:.0%} confidence {sharing(rule.as_right)}"
        else:
            promise = f"with {1 - rule.delta:.0%} confidence accuracy is {in_words(rule.eps or 0.0)}"
        more = "more answers change nothing" if self.complete else f"{self.missing} more answers may send fewer frames"
        return (
            f"At T = {self.policy.threshold:.4f}, {1 - self.exit_ratio:.1%} of frames go to the cloud; {promise}; "
            f"{sending(self.upload_bytes, rule.frames_per_day)}. {self.used} of {self.answers} answers were used; "
            f"{more}."
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Plan:
    """What is known without labels."""

    fitting: Bools
    temperature: float
    score: NDArray[np.float64]
    candidates: Floats
    differ: Bools


def ask(little: Records, big: Records, rule: Rule) -> Questions:
    """The frames that need a person, in the order in which their answers are worth most.

    Args:
        little: the bundle's records.
        big: the big model's, of the same pictures.
        rule: `eps` or `as_right`; the start of the walk decides whether the selection part is asked too.

    Raises:
        WorkbenchError: records that do not fit one another or are too few, or another rule.
    """
    plan = _plan(little, big, rule)
    wanted = plan.differ & (little.truths == UNKNOWN)
    parts = [~plan.fitting] if _strict(rule) else [plan.fitting, ~plan.fitting]
    rows = np.concatenate([_by_score(np.flatnonzero(wanted & part), plan.score) for part in parts])
    ordered = np.sort(-plan.score)
    exits = np.searchsorted(ordered, -plan.score[rows], side="right") / len(little)
    return Questions(rows, exits, plan.score)


def calibrate_few(
    little: Records, big: Records, rule: Rule, answers: Mapping[str, str], *, upload: Upload | None = None
) -> FewLabels:
    """Find the threshold with few labels (see the module).

    Args:
        little: the bundle's records.
        big: the big model's, of the same pictures after the device's encoding.
        rule: `eps` or `as_right`.
        answers: by a person, of some of the frames (`questions.read_answers`).
        upload: how pictures travel, for the policy.

    Raises:
        WorkbenchError: as `ask`; answers that contradict labels, too few answers for any threshold, or a promise that
            these frames cannot give.
    """
    plan = _plan(little, big, rule)
    truths = answered(little, answers)
    open_ = plan.differ & (truths == UNKNOWN)
    little_right = np.where(plan.differ, little.predicted == truths, True)
    big_right = np.where(plan.differ, big.predicted == truths, True)
    fitting, evaluation = plan.fitting, ~plan.fitting
    start = None
    if not _strict(rule):
        if (open_ & fitting).any():
            raise WorkbenchError(
                f"expected an answer to the first questions, which decide where to begin; "
                f"{int((open_ & fitting).sum())} are missing"
            )
        mine = plan.score[fitting], little_right[fitting], big_right[fitting]
        if rule.as_right is not None:
            start = aligned_start(*mine, alpha=1 - rule.as_right, candidates=plan.candidates)
        else:
            start = likely_start(
                *mine,
                eps=rule.eps or 0.0,
                delta=rule.delta,
                records=int(evaluation.sum()),
                candidates=plan.candidates,
            )
    first_open = float(plan.score[open_ & evaluation].max(initial=-np.inf))
    walk = plan.candidates[plan.candidates > first_open]
    if start is None or not len(walk):
        start = float(plan.candidates.max())
    others = plan.score[evaluation], little_right[evaluation], big_right[evaluation]
    if not len(walk) or start < walk.min():
        raise WorkbenchError("expected more answers: no threshold can be tried with these; answer from the top")
    if rule.as_right is not None:
        found = aligned_threshold(*others, alpha=1 - rule.as_right, delta=rule.delta, candidates=walk, start=start)
        holds, threshold = found.holds, found.threshold
    else:
        promised = guaranteed_threshold(*others, eps=rule.eps or 0.0, delta=rule.delta, candidates=walk, start=start)
        holds, threshold = promised.holds, promised.threshold
    if not holds:
        raise WorkbenchError(
            f"these {int(evaluation.sum())} evaluation pictures cannot promise what is asked for while any frame "
            "exits; more pictures promise more, and so does a larger --eps or a smaller --as-right"
        )
    exits = evaluation & (plan.score >= threshold)
    sizes = None if big.upload_bytes is None else np.where(plan.score >= threshold, 0, big.upload_bytes)[evaluation]
    top = little.calibrated(plan.temperature).max(axis=1)
    policy = Policy(
        threshold=min(max(threshold, 0.0), 1.0),
        temperature=plan.temperature,
        confidences=confidence_histogram(top),
        agreement=measure_agreement(
            top[evaluation],
            exits[evaluation],
            device=little.predicted[evaluation],
            big=big.predicted[evaluation],
            delta=rule.delta,
            places=np.array(little.group_names)[evaluation],
            times=None if little.times is None else little.times[evaluation],
        ),
        upload=upload or Upload(),
        big_macs=big.info.macs,
    )
    given = np.isin(little.ids, list(answers)) & plan.differ
    last = walk[walk < threshold].max(initial=0.0) if (walk < threshold).any() else threshold  # where the walk failed
    return FewLabels(
        policy,
        rule,
        float(exits.sum() / evaluation.sum()),
        float("nan") if sizes is None else float(sizes.mean()),
        int((exits & big_right & ~little_right).sum()),
        int((exits & little_right & ~big_right).sum()),
        int(evaluation.sum()),
        paired_difference(np.where(exits, little_right, big_right)[evaluation], big_right[evaluation]),
        len(answers),
        int((given & ((fitting & (not _strict(rule))) | (evaluation & (plan.score >= last)))).sum()),
        int((open_ & evaluation).sum()),
        threshold > float(walk.min()) or first_open == -np.inf,
        len(little),
    )


def _plan(little: Records, big: Records, rule: Rule) -> _Plan:
    check_same(little, big)
    if rule.eps is None and rule.as_right is None:
        raise WorkbenchError(
            "expected a rule with a guarantee, --eps or --as-right; the others need a label of each frame"
        )
    if len(little) < FEWEST:
        raise WorkbenchError(f"expected at least {FEWEST} pictures; got {len(little)}")
    fitting = selection_part(little.group_names, fewest=FEWEST // 4)
    temperature = little.fit_temperature(fitting, big.predicted)
    score = little.calibrated(temperature).max(axis=1).astype(np.float64)
    return _Plan(fitting, temperature, score, quantile_candidates(score[fitting]), little.predicted != big.predicted)


def _strict(rule: Rule) -> bool:
    """Whether the walk starts at the strictest threshold."""
    return rule.eps is not None and rule.eps > 0


def _by_score(rows: NDArray[np.intp], score: Floats) -> NDArray[np.intp]:
    result: NDArray[np.intp] = rows[np.argsort(-score[rows], kind="stable")]
    return result
