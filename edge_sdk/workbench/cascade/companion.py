"""Choosing the little model that saves most beside a big one: TinySaver's rule, and a rule robust to noise.

TinySaver (Wang, Wang, Zhang, Fan, "Tiny Models are the Computational Saver for Large Models", arXiv 2403.17726, section
3.2): for each candidate of fewer MACs than the big model, lower the threshold t from 1 as long as, on the records that
would exit, the candidate is no less accurate than the big model; then delta-C = c_little / c_big - exit ratio is the
change of cost that this companion brings, and the lowest wins.

That rule stops at the first t at which the candidate is behind, which at high t is often one unlucky record among few.
The robust rule stops only where the deficit is significant (exact one-sided sign test on the records on which the two
differ) and then steps back to the last t at which the candidate was not behind.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from edge_sdk.errors import WorkbenchError
from edge_sdk.workbench.cascade.curve import Bools, Floats, above, check_records
from edge_sdk.workbench.cascade.paired import Difference, paired_difference

RULES = ("paper", "robust")
_LEVEL = 0.05


@dataclass(frozen=True, slots=True)
class Choice:
    """A threshold that a rule chose for a candidate.

    Attributes:
        threshold: confidence at or above which a frame exits.
        exit_ratio: share of the calibration records that exit.
        saving: the change of cost, c_little / c_big - exit ratio: the lower the better, below 0 it saves.
    """

    threshold: float
    exit_ratio: float
    saving: float


def choose_exit(
    confidence: Floats,
    little_right: Bools,
    big_right: Bools,
    *,
    cost_ratio: float,
    rule: str = "robust",
    level: float = _LEVEL,
) -> Choice:
    """The exit threshold of one candidate, by the paper's rule or the robust one.

    Args:
        confidence: `float (N,)` of the candidate.
        little_right: `bool (N,)`.
        big_right: `bool (N,)`.
        cost_ratio: c_little / c_big, in MACs, milliseconds, joules or any cost that both have.
        rule: "paper" or "robust".
        level: of the robust rule's test.

    Raises:
        WorkbenchError: an unknown rule or arrays that do not fit.
    """
    if rule not in RULES:
        raise WorkbenchError(f"expected a rule of {', '.join(RULES)}; got {rule!r}")
    confidence = np.asarray(confidence, np.float64)
    check_records(confidence=confidence, little_right=little_right, big_right=big_right)
    order = np.argsort(-confidence, kind="stable")
    ordered = confidence[order]
    won = np.cumsum((little_right & ~big_right)[order])
    lost = np.cumsum((big_right & ~little_right)[order])
    ends = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
    won, lost = won[ends], lost[ends]
    behind: Bools = lost > won
    if rule == "robust":
        behind = np.asarray(stats.binom.sf(lost - 1, lost + won, 0.5) < level)  # the sign test
    stop = int(np.flatnonzero(behind)[0]) if behind.any() else len(ends)
    good = np.flatnonzero(lost[:stop] <= won[:stop])
    if not len(good):
        return Choice(above(float(ordered[0])), 0.0, cost_ratio)
    exits = int(ends[good[-1]]) + 1
    ratio = exits / len(ordered)
    return Choice(0.0 if exits == len(ordered) else float(ordered[exits - 1]), ratio, cost_ratio - ratio)


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A little model as candidate: what it says of the calibration and the test records, and what it costs.

    Attributes:
        name: of the model.
        confidence: `float (N,)` on the calibration records.
        right: `bool (N,)`.
        test_confidence: `float (M,)` on the test records.
        test_right: `bool (M,)`.
        macs: per frame.
        latency_ms: per frame, of the exported bundle in the device's runtime; 0: not measured.
        energy_mj: per frame, millijoules; 0: not measured.
        model_bytes: size of the bundle's program; 0: not exported.
    """

    name: str
    confidence: Floats
    right: Bools
    test_confidence: Floats
    test_right: Bools
    macs: float
    latency_ms: float = 0.0
    energy_mj: float = 0.0
    model_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Ranked:
    """A candidate, evaluated.

    Attributes:
        name: of the model.
        choice: what the rule chose on the calibration records.
        accuracy: of the candidate alone, on the test records.
        exit_ratio: on the test records.
        cascade_accuracy: on the test records.
        big_accuracy: on the test records.
        against_big: accuracy of the cascade less that of the big model, on the test records.
        macs: of candidate and big model together, per frame, on the test records.
        relative_macs: the same over the big model's.
        latency_ms: of the candidate, per frame.
        energy_mj: of the candidate and of sending what does not exit, per frame.
        upload_bytes: per frame, exits counted as 0.
        model_bytes: size of the bundle's program.
    """

    name: str
    choice: Choice
    accuracy: float
    exit_ratio: float
    cascade_accuracy: float
    big_accuracy: float
    against_big: Difference
    macs: float
    relative_macs: float
    latency_ms: float
    energy_mj: float
    upload_bytes: float
    model_bytes: int


def rank_companions(
    candidates: Sequence[Candidate],
    *,
    big_right: Bools,
    test_big_right: Bools,
    big_macs: float,
    rule: str = "robust",
    upload_bytes: Floats | None = None,
    joules_per_byte: float = 0.0,
    top: int = 5,
) -> list[Ranked]:
    """Rank candidates by delta-C; those that cost as much as the big model or more are left out.

    Args:
        candidates: little models on the same records.
        big_right: `bool (N,)` of the big model on the calibration records.
        test_big_right: `bool (M,)` on the test records.
        big_macs: per frame.
        rule: see `choose_exit`.
        upload_bytes: `(M,)` size of each test record on the wire; None: unknown.
        joules_per_byte: energy of sending one.
        top: number of candidates returned.

    Returns:
        the best first; empty where no candidate costs less than the big model.
    """
    sizes = np.zeros(len(test_big_right)) if upload_bytes is None else np.asarray(upload_bytes, np.float64)
    ranked = []
    for one in candidates:
        if one.macs >= big_macs:
            continue
        choice = choose_exit(one.confidence, one.right, big_right, cost_ratio=one.macs / big_macs, rule=rule)
        check_records(test_confidence=one.test_confidence, test_right=one.test_right, test_big_right=test_big_right)
        exits = one.test_confidence >= choice.threshold
        answered = np.where(exits, one.test_right, test_big_right)
        sent = float(np.where(exits, 0.0, sizes).mean())
        macs = one.macs + float((~exits).mean()) * big_macs
        ranked.append(
            Ranked(
                one.name,
                choice,
                accuracy=float(one.test_right.mean()),
                exit_ratio=float(exits.mean()),
                cascade_accuracy=float(answered.mean()),
                big_accuracy=float(test_big_right.mean()),
                against_big=paired_difference(answered, test_big_right),
                macs=macs,
                relative_macs=macs / big_macs,
                latency_ms=one.latency_ms,
                energy_mj=one.energy_mj + 1000 * joules_per_byte * sent,
                upload_bytes=sent,
                model_bytes=one.model_bytes,
            )
        )
    return sorted(ranked, key=lambda found: found.choice.saving)[:top]


def advice(ranked: Sequence[Ranked]) -> str:
    """Which companion to take and why, in one line."""
    if not ranked:
        return "Take none: no candidate costs less than the big model."
    best = ranked[0]
    if best.choice.saving >= 0:
        return (
            f"Take none: even {best.name} would cost more than it saves ({best.choice.saving:+.1%} of the big model)."
        )
    line = (
        f"Take {best.name}: at T = {best.choice.threshold:.4f} {best.exit_ratio:.1%} of the test frames exit, "
        f"the cascade costs {best.relative_macs:.1%} of the big model's MACs and is right on "
        f"{best.cascade_accuracy:.1%} (big model {best.big_accuracy:.1%}; {best.against_big.points()})"
    )
    if len(ranked) > 1:
        other = ranked[1]
        line += f"; {other.name} is next at {other.relative_macs:.1%}"
    return line + "."
