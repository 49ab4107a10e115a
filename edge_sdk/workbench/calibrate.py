"""When may the little model's answer stand? Temperature, rule and threshold from records, with a promise beside them.

The records are dealt, by their source, into two parts. On the first the temperature is fitted, the learned gate is
fitted and compared with the plain confidence, and thresholds for the plain rules are chosen; on the second, which none
of that has seen, the guaranteed threshold is chosen and every figure that is reported is measured.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy import stats

from edge_sdk.errors import WorkbenchError
from edge_sdk.images.rendition import Upload
from edge_sdk.model.bundle import open_bundle, write_policy
from edge_sdk.model.drift import confidence_histogram
from edge_sdk.model.policy import Policy
from edge_sdk.workbench.cascade.confidence import expected_calibration_error, fit_temperature
from edge_sdk.workbench.cascade.curve import Bools, Curve, Floats, Point, cascade_curve, lossless, within
from edge_sdk.workbench.cascade.gate import (
    GATE,
    MAX_SOFTMAX,
    Comparison,
    compare_scores,
    ensemble,
    fit_ensemble,
    fit_gate,
    gains,
    held_out_gains,
)
from edge_sdk.workbench.cascade.group_split import choosing_part
from edge_sdk.workbench.cascade.guarantee import guaranteed_loss, guaranteed_threshold, quantile_candidates
from edge_sdk.workbench.cascade.hardness import HardnessBin, hardness
from edge_sdk.workbench.data import LabelledImage
from edge_sdk.workbench.recorder import open_subject, run_subjects
from edge_sdk.workbench.records import Records, check_same

_RULES = ("eps", "drop", "offload_ratio", "bytes_per_day", "macs")
_FOLDS = 5
_FEWEST = 100


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """How the threshold is chosen: by the one of these that is given.

    Attributes:
        eps: the cascade loses at most so much accuracy against the big model, with a guarantee.
        drop: as `eps`, on the records alone: 0 is Little-Big's lossless rule.
        offload_ratio: at most this share of the frames goes to the cloud.
        bytes_per_day: at most so many bytes a day.
        macs: at most so many MACs per frame, both models together.
        delta: tolerated chance that a promise fails.
        frames_per_day: frames that the little model sees a day.
    """

    eps: float | None = None
    drop: float | None = None
    offload_ratio: float | None = None
    bytes_per_day: float | None = None
    macs: float | None = None
    delta: float = 0.05
    frames_per_day: float = 2000.0

    def __post_init__(self) -> None:
        given = [name for name in _RULES if getattr(self, name) is not None]
        if len(given) != 1:
            raise WorkbenchError(f"expected one of {', '.join(_RULES)}; got {', '.join(given) or 'none'}")

    @property
    def name(self) -> str:
        """Which of them is given."""
        return next(name for name in _RULES if getattr(self, name) is not None)


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """What calibration found; figures are of the records that no choice but a guaranteed threshold has seen.

    Attributes:
        policy: to be written into the bundle.
        point: the cascade with it: threshold (of the score), exit ratio, accuracy, MACs and bytes per frame.
        curve: all settings of the chosen score.
        plain: all settings of the maximum softmax.
        little_accuracy: of the little model alone.
        big_accuracy: of the big model alone.
        promise: the cascade loses at most so much against the big model ...
        delta: ... except with this probability.
        guaranteed: whether the threshold was chosen under that promise; else it is what holds for the threshold.
        calibration_error: expected calibration error of the confidences.
        comparisons: of the scores, on the fitting records; empty where there were too few.
        bins: the hardness report.
        pictures: how many records in all.
        frames_per_day: for figures a day.
    """

    policy: Policy
    point: Point
    curve: Curve
    plain: Curve
    little_accuracy: float
    big_accuracy: float
    promise: float
    delta: float
    guaranteed: bool
    calibration_error: float
    comparisons: list[Comparison]
    bins: list[HardnessBin]
    pictures: int
    frames_per_day: float

    def sentence(self) -> str:
        """The result in words."""
        gate = self.policy.gate
        where = f"T = {self.policy.threshold:.4f}"
        if gate is not None:
            where = f"an expected gain of {gate.exit_at_or_below:.4f}"
        day = self.point.upload_bytes * self.frames_per_day / 1e6
        sent = f"about {day:.3g} MB a day at {self.frames_per_day:,.0f} frames"
        return (
            f"At {where}, {1 - self.point.exit_ratio:.1%} of frames go to the cloud; "
            f"with {1 - self.delta:.0%} confidence accuracy is at most {100 * self.promise:.2f} points below the big "
            f"model; {sent}."
        )


def calibrate_records(
    little: Records,
    big: Records,
    rule: Rule,
    *,
    upload: Upload | None = None,
    learned_gate: bool = True,
    allow_ensemble: bool = True,
    seed: int = 0,
) -> Calibration:
    """Find temperature, rule and threshold for a pair of models.

    Args:
        little: the bundle's records, with all probabilities.
        big: the big model's, of the same pictures after the device's encoding.
        rule: how the threshold is chosen.
        upload: how pictures travel, for the policy.
        learned_gate: whether a gate may replace the confidence; it does where it is better beyond noise.
        allow_ensemble: whether the little model may have a voice in the answer on offloaded frames; it has where that
            is better beyond noise.
        seed: of the comparison's folds and draws.

    Raises:
        WorkbenchError: records that do not fit one another or are too few, a limit that no threshold keeps, or a
            guarantee that these records cannot give.
    """
    check_same(little, big)
    if len(little) < _FEWEST:
        raise WorkbenchError(f"expected at least {_FEWEST} labelled pictures; got {len(little)}")
    names = little.ids if little.sources is None else little.sources
    fitting = choosing_part(names.tolist(), fewest=_FEWEST // 4)
    temperature = fit_temperature(little.logits[fitting], little.truths[fitting])
    chances = little.calibrated(temperature)
    little_right, big_right = chances.argmax(axis=1) == little.truths, big.right
    comparisons = _compare(chances[fitting], little, big, fitting, seed)
    score, gate = chances.max(axis=1).astype(np.float64), None
    if learned_gate and any(one.name == GATE and one.better for one in comparisons):
        gate = fit_gate(chances[fitting], little_right[fitting], big_right[fitting])
        score = -gains(gate, chances)
        mine = chances[fitting], little_right[fitting], big_right[fitting]
        score[fitting] = -held_out_gains(*mine, folds=_FOLDS, seed=seed)  # a plain threshold is chosen on these
    weight, final = _ensemble(chances, big, fitting) if allow_ensemble else (0.0, big_right)
    costs = {"little_macs": little.info.macs, "big_macs": big.info.macs}

    def curve(of: Floats, part: Bools) -> Curve:
        sizes = None if big.upload_bytes is None else big.upload_bytes[part]
        return cascade_curve(
            of[part],
            little_right[part],
            big_right[part],
            upload_bytes=sizes,
            offloaded_right=final[part] if weight else None,
            **costs,
        )

    judging = ~fitting
    if rule.eps is not None:
        found = guaranteed_threshold(
            score[judging],
            little_right[judging],
            big_right[judging],
            eps=rule.eps,
            delta=rule.delta,
            candidates=quantile_candidates(score[fitting]),
            offloaded_right=final[judging],
        )
        threshold, promise = found.threshold, rule.eps
        if not found.holds:
            raise WorkbenchError(_cannot_promise(rule, curve(score, fitting), score, little_right, big_right, judging))
    else:
        threshold = _plain_threshold(rule, curve(score, fitting))
        cascade_right = np.where(score >= threshold, little_right, final)[judging]
        lost, won = big_right[judging] & ~cascade_right, cascade_right & ~big_right[judging]
        promise = guaranteed_loss(int(lost.sum()), int(won.sum()), int(judging.sum()), rule.delta)
    judged = curve(score, judging)
    plain = curve(chances.max(axis=1).astype(np.float64), judging)
    confidence = threshold
    if gate is not None:
        gate = msgspec.structs.replace(gate, exit_at_or_below=-threshold)
        ratio = judged.at(threshold).exit_ratio
        confidence = float(plain.thresholds[np.searchsorted(plain.exit_ratio, ratio - 1e-12)])
    point = judged.at(threshold)
    table = gate or fit_gate(chances[fitting], little_right[fitting], big_right[fitting])
    policy = Policy(
        threshold=min(max(confidence, 0.0), 1.0),
        temperature=temperature,
        gate=gate,
        gains=None if gate else table,
        ensemble=weight,
        confidences=confidence_histogram(chances.max(axis=1)),
        upload=upload or Upload(),
        big_macs=big.info.macs,
    )
    top = chances.max(axis=1)[judging]
    return Calibration(
        policy=policy,
        point=point,
        curve=judged,
        plain=plain,
        little_accuracy=judged.little_accuracy,
        big_accuracy=judged.big_accuracy,
        promise=promise,
        delta=rule.delta,
        guaranteed=rule.eps is not None,
        calibration_error=expected_calibration_error(top, little_right[judging]),
        comparisons=comparisons,
        bins=hardness(np.minimum(top, 1.0), little_right[judging], big_right[judging]),
        pictures=len(little),
        frames_per_day=rule.frames_per_day,
    )


def _compare(chances: Floats, little: Records, big: Records, fitting: Bools, seed: int) -> list[Comparison]:
    if len(chances) < 20 * _FOLDS:
        return []
    macs = {"little_macs": little.info.macs, "big_macs": max(big.info.macs, 1)}
    logits = little.logits[fitting] if little.energy is not None else None
    return compare_scores(
        chances, little.truths[fitting], big.right[fitting], logits=logits, folds=_FOLDS, seed=seed, **macs
    )


def _ensemble(chances: NDArray[np.float32], big: Records, fitting: Bools) -> tuple[float, Bools]:
    """The little model's weight in answers on offloads, 0 unless it clearly helps, and which of those are right."""
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
    return within(
        curve,
        offload_ratio=rule.offload_ratio,
        bytes_per_day=rule.bytes_per_day,
        frames_per_day=rule.frames_per_day,
        macs=rule.macs,
    ).threshold


def _cannot_promise(rule: Rule, curve: Curve, score: Floats, little: Bools, big: Bools, judging: Bools) -> str:
    threshold = lossless(curve).threshold
    exits = judging & (score >= threshold)
    lost, won = int((exits & big & ~little).sum()), int((exits & little & ~big).sum())
    least = guaranteed_loss(lost, won, int(judging.sum()), rule.delta)
    return (
        f"these {int(judging.sum())} judging pictures cannot promise a loss of at most {100 * (rule.eps or 0):.2f} "
        f"points with {1 - rule.delta:.0%} confidence while any frame exits; {100 * least:.2f} points can be promised "
        f"at the lossless threshold (--eps {least:.4f}), more pictures promise more, and --drop 0 promises nothing "
        "beforehand"
    )


def calibrate_bundle(
    path: str | Path,
    big: str,
    pictures: Iterable[LabelledImage],
    rule: Rule,
    *,
    upload: Upload | None = None,
    learned_gate: bool = True,
    on_done: Callable[[int], None] | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Calibration:
    """Calibrate a bundle against a big model and write its `policy.json`.

    Args:
        path: the bundle's folder.
        big: the big model's checkpoint, or a timm name (then with pretrained weights).
        pictures: labelled ones; both models must not have been trained on them.
        rule: how the threshold is chosen.
        upload: how pictures will travel; default: as the bundle's policy says.
        learned_gate: see `calibrate_records`.
        on_done: told how many pictures are done.
        now: the date for the record.

    Raises:
        BundleError: the bundle cannot be used or written.
        WorkbenchError: the big model or the pictures cannot be used, or see `calibrate_records`.
    """
    bundle = open_bundle(path)
    upload = upload or bundle.policy.upload
    subjects = [
        open_subject(str(bundle.path)),
        open_subject(big, pretrained=not big.endswith(".safetensors"), upload=upload),
    ]
    little, cloud = run_subjects(subjects, pictures, on_done=on_done)
    found = calibrate_records(little, cloud, rule, upload=upload, learned_gate=learned_gate)
    return write_calibration(bundle.path, found, big=cloud.info.model, rule=rule, now=now)


def write_calibration(
    path: Path,
    found: Calibration,
    *,
    big: str,
    rule: Rule,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Calibration:
    """Write what calibration found into a bundle's `policy.json`, with the facts for its reader.

    A ladder of encodings that was measured for the same big model stays.
    """
    facts: dict[str, float | int | str] = {
        "rule": rule.name,
        "score": GATE if found.policy.gate else MAX_SOFTMAX,
        "date": now().date().isoformat(),
        "pictures": found.pictures,
        "exit_ratio": round(found.point.exit_ratio, 4),
        "little_accuracy": round(found.little_accuracy, 4),
        "cascade_accuracy": round(found.point.accuracy, 4),
        "big_accuracy": round(found.big_accuracy, 4),
        "promised_loss": round(found.promise, 5),
        "promise_fails_with": found.delta,
        "big": big,
    }
    old = open_bundle(path).policy
    policy = msgspec.structs.replace(found.policy, calibration=facts)
    if old.calibration.get("ladder_big") == big:
        facts |= {name: fact for name, fact in old.calibration.items() if name.startswith("ladder_")}
        policy = msgspec.structs.replace(policy, ladder=old.ladder)
    write_policy(path, policy)
    return replace(found, policy=policy)
