"""Does the promise of calibration still hold? What audits say: confident frames that were sent all the same.

What is measured. Of the frames that exit (those of `never_upload` left out), the share on which the big model, had it
been asked, says another label than the device. Each such frame had a known chance to be sent, so the sum over the
audited ones of 1 / chance estimates the number of all (`edge_sdk.model.betting`). Two figures come of it:

- the *estimate*: within each chance, the share that differs among the answered audits stands for all frames of that
  chance (Horvitz & Thompson, J. Am. Stat. Assoc. 47, 1952; as a ratio within strata, Hajek 1971). It assumes that
  audits without an answer are missing at random within their chance: whether a frame is sent at once, waits or is
  dropped depends on budgets and on the others that wait, not on what the big model would say;
- the *interval* and the *alarm* assume nothing of missing answers. An audit that waits or was lost counts as the
  same label for the lower end and for the alarm, as another one for the upper end. Both hold at all times together, so
  one may look as often as one likes.

How this is related to what calibration promised. Accuracy is lost only on a frame on which the two differ, and there
only where the big model is right. So the share that differs bounds the loss among exits from above, and needs no
labels. Calibration writes the bound it found for that share on new frames (`Agreement.at_most`). The *alarm* tests
"the share is at most that bound" at level `delta` over the device's whole life: if the frames stay as they were, it is
ever raised with probability `delta` at most (on top of the probability with which the calibration's own bound fails).
Where people have looked at the frames that differ, the loss itself is estimated: the share of the frames on which the
big model alone is right, less the share on which the device alone is right. Frames on which both say the same need no
person for that.

Assumption: given what earlier audits have shown, each frame that exits differs with a mean chance that is at most the
bound. Frames of one visit look alike, so the draw takes one of a visit at most and those after it do not count
(`edge_sdk.pipeline.audit`): an audit then says nothing of another one, if visits are independent.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from edge_sdk.model.betting import bounds, log_gains_above, log_sum
from edge_sdk.model.policy import Policy
from edge_sdk.store.audits import EVERY, OTHERS, AuditCounts, Audits

DELTA = 0.05
"""Probability with which an interval misses, or an alarm is false, at any time."""

_Counted = Callable[[AuditCounts], int]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A share of the frames that exit, and between which bounds it lies.

    Attributes:
        share: the estimate; below 0 where the device does better than the big model.
        low: lower end of the interval, which holds at all times together with probability 1 - `DELTA`.
        high: upper end.
        frames: audited frames that it was estimated from.
    """

    share: float
    low: float
    high: float
    frames: int

    def text(self) -> str:
        """In percent."""
        return f"{self.share:.2%} ({self.low:.2%} to {self.high:.2%})"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What audits say of a device's exits.

    Attributes:
        exits: confident frames that could be audited.
        private: confident frames that could not, since they may show a class that is never uploaded.
        drawn: audited frames.
        answered: of these, those that the big model answered.
        waiting: of these, those that wait for it; the others without an answer were lost.
        differs: share of the exits on which the big model says another label; None: no audit was answered yet.
        promised: upper bound of that share by calibration, the greatest where frames of two looks have rules of their
            own; None: the policy does not say.
        e_value: the evidence against "the share is at most `promised`"; 1 is none, 1 / `delta` raises the alarm.
        delta: probability with which the alarm is ever raised while the promise holds.
        alarm: capture time of the frame that raised the alarm; None: none was raised.
        wrong: share of the exits on which the device is wrong, by people's labels; None: there are none.
        loss: accuracy that the exits lose against the big model, a share of the exits, by people's labels of the frames
            on which the two differ; None: no such frame has a label.
        exit_share: exits (and private ones) / frames that the little model saw since audits began.
        promised_loss: accuracy that calibration promised to lose at most, a share of all frames; None: unknown.
        counts: by chance.
    """

    exits: int
    private: int
    drawn: int
    answered: int
    waiting: int
    differs: Estimate | None
    promised: float | None
    e_value: float
    delta: float
    alarm: datetime | None
    wrong: Estimate | None
    loss: Estimate | None
    exit_share: float
    promised_loss: float | None
    counts: tuple[AuditCounts, ...]

    @property
    def broken(self) -> bool:
        """Whether the exits agree with the big model less often than calibration promised: calibrate anew."""
        return self.alarm is not None

    def sentence(self) -> str:
        """The result in words."""
        if self.differs is None:
            return f"{self.exits} exits, {self.drawn} audits, no answer yet: nothing can be said"
        facts = f"{self.differs.text()} of {self.exits} exits, from {self.answered} audits"
        if self.promised is None:
            return f"the big model says another label on {facts}; the policy promises nothing to compare it with"
        if self.alarm is not None:
            return (
                f"the promise of calibration no longer holds since {self.alarm:%Y-%m-%d %H:%M}: the big model says "
                f"another label on {facts}; at most {self.promised:.2%} was promised: calibrate anew"
            )
        return f"nothing speaks against the promise: the big model says another label on {facts}; at most " + (
            f"{self.promised:.2%} was promised"
        )


def weigh(audits: Audits, policy: Policy, *, delta: float = DELTA) -> Evidence:
    """What the audits of a device say.

    Args:
        audits: from `Journal.audits`.
        policy: the bundle's, with what calibration promised.
        delta: level of the alarm and of the intervals, in (0, 1).
    """
    covered = audits.covered
    promised = policy.promised_to_differ
    log_e, alarm = 0.0, None
    if promised is not None:
        log_e, alarm = _alarm(audits, promised, delta)
    exits = sum(one.frames for one in covered)
    private = sum(one.frames for one in audits.counts if one.chance == 0)
    others = sum(one.frames for one in audits.counts if one.chance == OTHERS)
    losses = [policy.calibration.get(name) for name in ("promised_loss", "region_promised_loss")]
    promised_loss = max((float(one) for one in losses if isinstance(one, int | float)), default=None)
    return Evidence(
        exits=exits,
        private=private,
        drawn=sum(one.drawn for one in covered),
        answered=sum(one.answered for one in covered),
        waiting=sum(one.waiting for one in covered),
        differs=_estimate(covered, lambda one: one.differ, lambda one: one.answered, delta),
        promised=promised,
        e_value=math.exp(min(log_e, 700.0)),
        delta=delta,
        alarm=alarm,
        wrong=_estimate(covered, lambda one: one.wrong, lambda one: one.labelled, delta),
        loss=_loss(covered, delta),
        exit_share=(exits + private) / max(1, exits + private + others),
        promised_loss=promised_loss,
        counts=audits.counts,
    )


def stratified(counts: Sequence[AuditCounts], ones: _Counted, known: _Counted) -> float | None:
    """The share of ones among all frames: those known of each chance stand for all of that chance.

    Chances of which nothing is known are taken together with the next higher one, frames weighted by 1 / chance; the
    last with the one before.

    Args:
        counts: by rising chance, all above 0.
        ones: how many of the known are ones.
        known: of how many it is known.

    Returns:
        None where nothing is known.
    """
    total, sought, result = sum(one.frames for one in counts), 0.0, 0.0
    pending = [0, 0.0, 0.0]  # frames, weight of the ones, weight of the known: of the strata taken together
    last = 0.0
    for one in counts:
        pending[0] += one.frames
        pending[1] += ones(one) / one.chance
        pending[2] += known(one) / one.chance
        if known(one):
            last = pending[1] / pending[2]
            sought, result = sought + pending[0], result + pending[0] * last
            pending = [0, 0.0, 0.0]
    return (result + pending[0] * last) / total if sought else None


def _estimate(counts: Sequence[AuditCounts], ones: _Counted, known: _Counted, delta: float) -> Estimate | None:
    share = stratified(counts, ones, known)
    if share is None:
        return None
    seen = [ones(one) for one in counts]
    doubts = [one.drawn - known(one) for one in counts]
    low, high = _bounds(counts, seen, doubts, delta)
    return Estimate(share, low, high, sum(known(one) for one in counts))


def _loss(counts: Sequence[AuditCounts], delta: float) -> Estimate | None:
    """What is lost less what is won: the share that differs times what the labelled ones among these say.

    The interval is that of two which hold together; a frame without a label may be either.
    """
    differ = stratified(counts, lambda one: one.differ, lambda one: one.answered)
    labelled = sum((one.differ - one.open) / one.chance for one in counts)
    if differ is None or not labelled:
        return None
    gained = sum((one.lost - one.won) / one.chance for one in counts)
    doubts = [one.drawn - one.answered + one.open for one in counts]
    lost_low, lost_high = _bounds(counts, [one.lost for one in counts], doubts, delta / 2)
    won_low, won_high = _bounds(counts, [one.won for one in counts], doubts, delta / 2)
    frames = sum(one.differ - one.open for one in counts)
    return Estimate(differ * gained / labelled, lost_low - won_high, lost_high - won_low, frames)


def _bounds(
    counts: Sequence[AuditCounts], ones: Sequence[int], doubts: Sequence[int], delta: float
) -> tuple[float, float]:
    chances = np.array([one.chance for one in counts])
    units = sum(one.frames for one in counts)
    return bounds(units, np.array(ones), np.array(doubts), chances, float(chances.min()), delta)


def _alarm(audits: Audits, promised: float, delta: float) -> tuple[float, datetime | None]:
    """Log of the e-value now, and the capture time of the first frame at which it was 1 / `delta`.

    The capital rises at frames that differ alone, so these are looked at. Of rows that have left, the counts alone are
    known: where they suffice for the alarm, it is dated to the first frame that is known to differ after them, and
    tests that began among them are given up.
    """
    chances = sorted({one.chance for one in audits.covered})
    if not chances:
        return 0.0, None
    place = {chance: at for at, chance in enumerate(chances)}
    before = np.zeros(len(chances), np.int64)
    for one in audits.gone:
        if one.chance > 0:
            before[place[one.chance]] += one.differ
    bands = np.array([place[one.chance] for one in audits.differences], np.int64)
    units = np.array([one.exits for one in audits.differences], np.int64)
    last = sum(one.frames for one in audits.covered)
    given_up = sum(one.drawn for one in audits.gone if one.chance > 0) // EVERY
    path = log_e_values(
        units, bands, np.array(chances), promised, starts=audits.starts, before=before, until=last, given_up=given_up
    )
    raised = np.flatnonzero(path[:-1] >= math.log(1 / delta))
    return float(path[-1]), audits.differences[raised[0]].captured_at if len(raised) else None


def log_e_values(
    units: NDArray[np.int64],
    bands: NDArray[np.int64],
    chances: NDArray[np.float64],
    promised: float,
    *,
    starts: Sequence[tuple[int, int]] = (),
    before: NDArray[np.int64] | None = None,
    until: int = 0,
    given_up: int = 0,
) -> NDArray[np.float64]:
    """Log of the evidence against "the share is at most `promised`" at each frame that differs, and after them.

    A test that has seen a long time without a fault has lost most of its capital when a change comes. So half of the
    capital bets from the first frame on, and of the rest 1 / (j (j + 1)) from the (j * `EVERY`)th audit on; until then
    it is kept. A sum of such capitals is one that no honest frames make grow. It is the mixture over times of change of
    Shin, Ramdas & Rinaldo, "E-detectors" (New England J. Stat. Data Sci. 2023), with weights that sum to 1, so that the
    level holds for the whole life.

    Args:
        units: `int64 (D,)`, exits up to and with each frame that differs, rising.
        bands: `int64 (D,)`, their chances' places in `chances`.
        chances: `float64 (H,)`, rising.
        promised: bound of the share.
        starts: j and the exits up to and with the (j * `EVERY`)th audit.
        before: `int64 (H,)`, frames that differ before the first of `units`, by chance; None: none.
        until: exits so far.
        given_up: tests that began before the first of `starts`, of which nothing is known.

    Returns:
        `float64 (D + 1,)`.
    """
    earlier = np.zeros((1, len(chances)), np.int64) if before is None else before[None, :]
    ones = earlier + np.vstack([0 * earlier, np.eye(len(chances), dtype=np.int64)[bands].cumsum(axis=0)])
    places = np.append(units, max([until, *units[-1:].tolist()]))
    began = np.array([0, *(start for _, start in starts)], np.int64)
    shares = np.array([0.5, *(0.5 / (number * (number + 1)) for number, _ in starts)])
    at_start = ones[np.searchsorted(units, began, side="right")]
    at_start[0] = 0
    worth = log_gains_above(places, np.vstack([ones[1:], ones[-1:]]), chances, promised)
    stake = np.log(shares)[:, None] - log_gains_above(began, at_start, chances, promised)
    running = np.searchsorted(began, places, side="right") - 1  # the latest test that has begun
    values = log_sum(worth + np.logaddexp.accumulate(stake, axis=0)[running])
    kept = 1 - 0.5 * (1 - 1 / (given_up + 1)) - shares.cumsum()[running]
    with np.errstate(divide="ignore"):
        result: NDArray[np.float64] = np.logaddexp(values, np.log(np.maximum(kept, 0.0)))
    return result
