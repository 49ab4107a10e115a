"""Calibration: temperature, gate and threshold from the records of both models, with a bound on the loss of accuracy.

A group split divides the records by their source. On the selection part the temperature and the learned gate are
fitted, the gate is compared with the plain confidence, and thresholds of the plain rules are chosen. On the evaluation
part, which none of that has seen, the guaranteed threshold is chosen and every reported figure is measured.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy import stats

from edge_sdk.errors import WorkbenchError
from edge_sdk.images.rendition import Upload
from edge_sdk.model.drift import confidence_histogram
from edge_sdk.model.policy import Policy
from edge_sdk.types import View
from edge_sdk.workbench.agreement import measure_agreement
from edge_sdk.workbench.calibration import FEWEST, Calibration, Rule, in_words, sharing
from edge_sdk.workbench.cascade.alignment import aligned_start, aligned_threshold
from edge_sdk.workbench.cascade.confidence import expected_calibration_error
from edge_sdk.workbench.cascade.curve import Bools, Curve, Floats, cascade_curve, lossless, nearest_best, within
from edge_sdk.workbench.cascade.ensemble import ensemble, fit_ensemble
from edge_sdk.workbench.cascade.gate import fit_gate, gains, held_out_gains
from edge_sdk.workbench.cascade.group_split import selection_part
from edge_sdk.workbench.cascade.guarantee import guaranteed_threshold, likely_start, quantile_candidates
from edge_sdk.workbench.cascade.hardness import hardness
from edge_sdk.workbench.cascade.paired import paired_difference
from edge_sdk.workbench.cascade.score_comparison import GATE, Comparison, compare_scores
from edge_sdk.workbench.cascade.score_test import guaranteed_loss
from edge_sdk.workbench.records import Records, check_same

_FOLDS = 5


def calibrate_records(
    little: Records,
    big: Records,
    rule: Rule,
    *,
    upload: Upload | None = None,
    region_upload: Upload | None = None,
    learned_gate: bool = True,
    allow_ensemble: bool = True,
    temperature: float | None = None,
    seed: int = 0,
) -> Calibration:
    """Find temperature, rule and threshold for a pair of models.

    Args:
        little: the bundle's records, with all probabilities.
        big: the big model's, of the same pictures after the device's encoding.
        rule: how the threshold is chosen.
        upload: how pictures travel, for the policy.
        region_upload: how regions travel, for the policy; None: as `upload`.
        learned_gate: whether a gate may replace the confidence; it does where it is better beyond noise.
        allow_ensemble: whether the answer on offloaded frames may be a weighted mean of both models; it is where that
            is better beyond noise.
        temperature: of the little model; None: it is fitted.
        seed: of the comparison's folds and draws.

    Raises:
        WorkbenchError: records that do not fit one another or are too few, a limit that no threshold keeps, or a
            guarantee that these records cannot give.
    """
    check_same(little, big)
    if len(little) < FEWEST:
        raise WorkbenchError(f"expected at least {FEWEST} labelled pictures; got {len(little)}")
    fitting = selection_part(little.group_names, fewest=FEWEST // 4)
    if temperature is None:
        temperature = little.fit_temperature(fitting)
    chances = little.calibrated(temperature)
    little_right, big_right = chances.argmax(axis=1) == little.truths, big.right
    comparisons = _compare(chances[fitting], little, big, fitting, seed)
    score, gate = chances.max(axis=1).astype(np.float64), None
    if learned_gate and any(one.name == GATE and one.better for one in comparisons):
        gate = fit_gate(chances[fitting], little_right[fitting], big_right[fitting])
        score = -gains(gate, chances)
        mine = chances[fitting], little_right[fitting], big_right[fitting]
        score[fitting] = -held_out_gains(*mine, folds=_FOLDS, seed=seed)  # a plain threshold is chosen on these
    voice = allow_ensemble and rule.as_right is None  # a promise of the exits alone is silent on other answers
    weight, final = _ensemble(chances, big, fitting) if voice else (0.0, big_right)

    def curve(of: Floats, part: Bools) -> Curve:
        sizes = None if big.upload_bytes is None else big.upload_bytes[part]
        return cascade_curve(
            of[part],
            little_right[part],
            big_right[part],
            upload_bytes=sizes,
            offloaded_right=final[part] if weight else None,
            little_macs=_macs(little),
            big_macs=_macs(big),
        )

    evaluation = ~fitting
    parts = [(score[part], little_right[part], big_right[part], final[part]) for part in (fitting, evaluation)]
    cheapest = curve(score, fitting)
    if rule.guaranteed:
        threshold, promise = _promised(rule, *parts, at_no_loss=lossless(cheapest).threshold)
    else:
        threshold = _plain_threshold(rule, cheapest)
        lost, won = _changed(threshold, *parts[1])
        promise = guaranteed_loss(lost, won, int(evaluation.sum()), rule.delta)
    evaluated = curve(score, evaluation)
    plain = curve(chances.max(axis=1).astype(np.float64), evaluation)
    confidence = threshold
    if gate is not None:
        gate = msgspec.structs.replace(gate, exit_at_or_below=-threshold)
        ratio = evaluated.at(threshold).exit_ratio
        confidence = float(plain.thresholds[np.searchsorted(plain.exit_ratio, ratio - 1e-12)])
    point = evaluated.at(threshold)
    top = chances.max(axis=1)
    agreement = measure_agreement(
        top[evaluation],
        score[evaluation] >= threshold,
        device=little.predicted[evaluation],
        big=big.predicted[evaluation],
        delta=rule.delta,
        places=np.array(little.group_names)[evaluation],
        times=None if little.times is None else little.times[evaluation],
    )
    table = gate or fit_gate(chances[fitting], little_right[fitting], big_right[fitting])
    policy = Policy(
        threshold=min(max(confidence, 0.0), 1.0),
        temperature=temperature,
        gate=gate,
        gains=None if gate else table,
        ensemble=weight,
        confidences=confidence_histogram(top),
        agreement=agreement,
        send=sent_view(big).value,
        upload=upload or Upload(),
        region_upload=region_upload,
        big_macs=big.info.macs,
    )
    top = top[evaluation]
    return Calibration(
        policy=policy,
        point=point,
        curve=evaluated,
        plain=plain,
        little_accuracy=evaluated.little_accuracy,
        big_accuracy=evaluated.big_accuracy,
        promise=promise,
        delta=rule.delta,
        guaranteed=rule.guaranteed,
        as_right=rule.as_right,
        difference=paired_difference(
            np.where(score >= threshold, little_right, final)[evaluation], big_right[evaluation]
        ),
        calibration_error=expected_calibration_error(top, little_right[evaluation]),
        comparisons=comparisons,
        bins=hardness(np.minimum(top, 1.0), little_right[evaluation], big_right[evaluation]),
        pictures=len(little),
        frames_per_day=rule.frames_per_day,
    )


def _compare(chances: Floats, little: Records, big: Records, fitting: Bools, seed: int) -> list[Comparison]:
    if len(chances) < 20 * _FOLDS:
        return []
    logits = little.logits[fitting] if little.energy is not None else None
    return compare_scores(
        chances,
        little.truths[fitting],
        big.right[fitting],
        logits=logits,
        folds=_FOLDS,
        seed=seed,
        little_macs=_macs(little),
        big_macs=_macs(big),
    )


def sent_view(big: Records) -> View:
    """What of a frame the big model was sent.

    Raises:
        WorkbenchError: it saw two looks, and one picture travels.
    """
    if big.info.view == View.BOTH:
        raise WorkbenchError(f"{big.info.model}: expected records of what travels, frame or region; got both")
    return View(big.info.view)


def _macs(records: Records) -> float:
    """MACs of a model per picture, of both looks where there are two; NaN: unknown."""
    looks = 1.0
    if records.looks is not None:
        looks += float((records.looks[:, 0] != records.looks[:, 1]).any(axis=1).mean())
    return looks * records.info.macs or float("nan")


def _ensemble(chances: NDArray[np.float32], big: Records, fitting: Bools) -> tuple[float, Bools]:
    """The little model's weight in answers on offloads, 0 unless it clearly helps, and whether each answer is right."""
    if big.probabilities is None:
        return 0.0, big.right
    cloud = big.probabilities.astype(np.float32)
    unsure = chances.max(axis=1) < np.median(chances.max(axis=1)[fitting])
    weight, _ = fit_ensemble(chances, cloud, big.truths, offloaded=fitting & unsure)
    right: Bools = ensemble(chances, cloud, weight) == big.truths
    mine = fitting & unsure
    won, lost = int((right & ~big.right & mine).sum()), int((big.right & ~right & mine).sum())
    if weight and stats.binom.sf(won - 1, won + lost, 0.5) < 0.01:
        return weight, right
    return 0.0, big.right


def _plain_threshold(rule: Rule, curve: Curve) -> float:
    if rule.drop is not None:
        return lossless(curve, drop=rule.drop).threshold
    if rule.near is not None:
        return nearest_best(curve, rule.near).threshold
    return within(
        curve,
        offload_ratio=rule.offload_ratio,
        bytes_per_day=rule.bytes_per_day,
        frames_per_day=rule.frames_per_day,
        macs=rule.macs,
    ).threshold


_Part = tuple[Floats, Bools, Bools, Bools]


def _promised(rule: Rule, selection: _Part, evaluation: _Part, *, at_no_loss: float) -> tuple[float, float]:
    """The threshold under a guarantee, and the loss of accuracy that it promises at most.

    Args:
        rule: with `eps` or `as_right`.
        selection: score, little_right, big_right and whether the answer on an offloaded frame is right.
        evaluation: the same of the evaluation part.
        at_no_loss: the lossless threshold of the selection part, for the message.
    """
    candidates = quantile_candidates(selection[0])
    if rule.as_right is not None:
        alpha = 1 - rule.as_right
        start = aligned_start(*selection[:3], alpha=alpha, candidates=candidates)
        aligned = aligned_threshold(*evaluation[:3], alpha=alpha, delta=rule.delta, candidates=candidates, start=start)
        if not aligned.holds:
            raise WorkbenchError(
                f"these {len(evaluation[0])} evaluation pictures cannot promise, with {1 - rule.delta:.0%} confidence, "
                f"that {sharing(rule.as_right)}; more pictures promise more, and so does a smaller --as-right"
            )
        return aligned.threshold, alpha
    eps = rule.eps or 0.0
    start = likely_start(
        *selection[:3],
        eps=eps,
        delta=rule.delta,
        records=len(evaluation[0]),
        candidates=candidates,
        offloaded_right=selection[3],
    )
    found = guaranteed_threshold(
        *evaluation[:3],
        eps=eps,
        delta=rule.delta,
        candidates=candidates,
        start=start,
        offloaded_right=evaluation[3],
    )
    if not found.holds:
        least = guaranteed_loss(*_changed(at_no_loss, *evaluation), len(evaluation[0]), rule.delta)
        raise WorkbenchError(
            f"these {len(evaluation[0])} evaluation pictures cannot promise, with {1 - rule.delta:.0%} confidence and "
            f"any frame exiting, an accuracy {in_words(eps)}; at the lossless threshold they promise one "
            f"{in_words(least)} (--eps {least:.4f}), more pictures promise more, and --drop 0 promises nothing "
            "beforehand"
        )
    return found.threshold, eps


def _changed(threshold: float, score: Floats, little: Bools, big: Bools, final: Bools) -> tuple[int, int]:
    """On how many records the big model alone is right and the cascade is not, and the reverse."""
    right = np.where(score >= threshold, little, final)
    return int((big & ~right).sum()), int((right & ~big).sum())
