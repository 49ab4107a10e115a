"""Does the promise of calibration still hold? What audits say: confident frames that were sent all the same.

What is measured. Of the frames that exit (those of `never_upload` left out), the share on which the big model, had it
been asked, says another label than the device. Where events are answered as a whole, an event is one exit, and what the
big model says is of the frame that stands for it; so all that is said here of frames is of events there, and frames
that belong to no event count beside them. Each such frame had a known chance to be sent, so the sum over the audited
ones of 1 / chance estimates the number of all (`edge_sdk.model.betting`). Two figures come of it:

- the *estimate*: within each chance, the share that differs among the answered audits stands for all frames of that
  chance (Horvitz & Thompson, J. Am. Stat. Assoc. 47, 1952; as a ratio within strata, Hajek 1971). It assumes that
  audits without an answer are missing at random within their chance: whether a frame is sent at once, waits or is
  dropped depends on budgets and on the others that wait, not on what the big model would say;
- the *interval* and the *alarm* assume nothing of missing answers. An audit that waits or was lost counts as the
  same label for the lower end and for the alarm, as another one for the upper end. Both hold at all times together, so
  one may look as often as one likes.

How this is related to what calibration promised. Accuracy is lost only on a frame on which the two differ, and there
only where the big model is right. So the share that differs bounds the loss among exits from above, and needs no
labels. Calibration writes a bound for that share at a new place (`Agreement.at_most`), and that of events apart. The
*alarm* (`edge_sdk.model.alarm`) tests "the share is at most that bound" at level `delta` over the device's whole life:
if the frames stay as they were, it is ever raised with probability `delta` at most, at the nineteen of twenty places
for which the bound is meant. Where people have looked at the frames that differ, the loss
itself is estimated: the share of the frames on which the big model alone is right, less the share on which the device
alone is right. Frames on which both say the same need no person for that.

Assumption: given what earlier audits have shown, each frame that exits differs with a mean chance that is at most the
bound. Frames of one visit look alike, so the draw takes one of a visit at most and those after it do not count
(`edge_sdk.pipeline.audit`); an event that is answered as a whole is one exit anyway. Visits of one cause are alike
too, as where a branch waves all day, so differences of one day between the same two classes count once for the alarm.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from edge_sdk.model.alarm import AlarmPath, alarm_path
from edge_sdk.model.betting import bounds
from edge_sdk.model.policy import Policy
from edge_sdk.store.audits import OTHERS, AuditCounts, Audits

DELTA = 0.05
"""Probability with which an interval misses, or an alarm is false, at any time."""

_Counted = Callable[[AuditCounts], int]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A share of the exits, and between which bounds it lies.

    Attributes:
        share: the estimate; below 0 where the device does better than the big model.
        low: lower end of the interval, which holds at all times together with probability 1 - `DELTA`.
        high: upper end.
        frames: audits that it was estimated from.
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
        exits: confident frames and events that could be audited.
        events: of these, events that were answered as a whole.
        private: confident ones that could not, since they may show a class that is never uploaded.
        drawn: audits.
        answered: of these, those that the big model answered.
        waiting: of these, those that wait for it; the others without an answer were lost.
        differs: share of the exits on which the big model says another label; None: no audit was answered yet.
        promised: upper bound of that share by calibration, of frames and events by their numbers; of frames the
            greatest, where two looks have rules of their own; None: the policy does not say.
        unpromised: exits of which the policy says nothing, where it does of others: the frames, or the events.
        e_value: the evidence against "the share is at most `promised`"; 1 is none, 1 / `delta` raises the alarm.
        delta: probability with which the alarm is ever raised while the promise holds.
        alarm: capture time of the frame (that stands for the event) that raised the alarm; None: none was raised.
        wrong: share of the exits on which the device is wrong, by people's labels; None: there are none.
        loss: accuracy that the exits lose against the big model, a share of the exits, by people's labels of the frames
            on which the two differ; None: no such frame has a label.
        exit_share: exits (and private ones) / frames and events that the little model answered since audits began.
        promised_loss: accuracy that calibration promised to lose at most, a share of all frames, or events if most of
            the exits are; None: unknown.
        counts: by chance.
    """

    exits: int
    events: int
    private: int
    drawn: int
    answered: int
    waiting: int
    differs: Estimate | None
    promised: float | None
    unpromised: int
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
        exits = f"{self.exits} exits" + (f" ({self.events} of them events)" if self.events else "")
        if self.differs is None:
            return f"{exits}, {self.drawn} audits, no answer yet: nothing can be said"
        facts = f"{self.differs.text()} of {exits}, from {self.answered} audits"
        if self.promised is None:
            return f"the big model says another label on {facts}; the policy promises nothing to compare it with"
        promised = f"at most {self.promised:.2%} was promised"
        if self.unpromised:
            promised += f" of {self.exits - self.unpromised} exits, and nothing of the others"
        if self.alarm is not None:
            return (
                f"the promise of calibration no longer holds since {self.alarm:%Y-%m-%d %H:%M}: the big model says "
                f"another label on {facts}; {promised}: calibrate anew"
            )
        return f"nothing speaks against the promise: the big model says another label on {facts}; {promised}"


def weigh(audits: Audits, policy: Policy, *, delta: float = DELTA) -> Evidence:
    """What the audits of a device say.

    Args:
        audits: from `Journal.audits`.
        policy: the bundle's, with what calibration promised.
        delta: level of the alarm and of the intervals, in (0, 1).
    """
    covered = audits.covered
    path = evidence_path(audits, policy)
    alarm = path.raised(delta)
    exits = sum(one.frames for one in covered)
    events = sum(one.frames for one in covered if one.events)
    private = sum(one.frames for one in audits.counts if one.chance == 0)
    others = sum(one.frames for one in audits.counts if one.chance == OTHERS)
    promised, unpromised = _promised(policy, exits - events, events)
    names = ("event_promised_loss",) if 2 * events > exits else ("promised_loss", "region_promised_loss")
    losses = [policy.calibration.get(name) for name in names]
    promised_loss = max((float(one) for one in losses if isinstance(one, int | float)), default=None)
    return Evidence(
        exits=exits,
        events=events,
        private=private,
        drawn=sum(one.drawn for one in covered),
        answered=sum(one.answered for one in covered),
        waiting=sum(one.waiting for one in covered),
        differs=differing(covered, delta),
        promised=promised,
        unpromised=unpromised,
        e_value=math.exp(min(float(path.log_e[-1]), 700.0)),
        delta=delta,
        alarm=None if alarm is None else alarm.captured_at,
        wrong=wrong(covered, delta),
        loss=_loss(covered, delta),
        exit_share=(exits + private) / max(1, exits + private + others),
        promised_loss=promised_loss,
        counts=audits.counts,
    )


def differing(counts: Sequence[AuditCounts], delta: float = DELTA) -> Estimate | None:
    """The share of the exits on which the big model says another label, as counts of audits estimate it.

    Args:
        counts: by rising chance, all above 0, frames before events.
        delta: level of the interval, in (0, 1).

    Returns:
        None where no audit was answered yet.
    """
    return _estimate(counts, lambda one: one.differ, lambda one: one.answered, delta)


def wrong(counts: Sequence[AuditCounts], delta: float = DELTA) -> Estimate | None:
    """The share of the exits on which the device is wrong, by people's labels; None: there are none.

    People look first where the models differ, so audits with a label do not stand for all. The share is that of the
    exits on which the models differ times what the labelled ones among these say, and the same of the others; of a kind
    that nobody has looked at the big model's answer is taken as the truth. The interval takes nothing for granted: an
    audit without a label may be either.
    """
    if not (labelled := sum(one.labelled for one in counts)):
        return None
    differ = stratified(counts, lambda one: one.differ, lambda one: one.answered)
    if differ is None or not all(map(_is_split, counts)):
        share = stratified(counts, lambda one: one.wrong, lambda one: one.labelled) or 0.0
    else:
        looked = _weighted(counts, _looked)
        among_differing = _weighted(counts, lambda one: _looked(one) - one.won) / looked if looked else 1.0
        others = _weighted(counts, lambda one: one.labelled - _looked(one))
        wrong_others = _weighted(counts, lambda one: one.wrong - _looked(one) + one.won)
        share = differ * among_differing + (1 - differ) * (wrong_others / others if others else 0.0)
    doubts = [one.drawn - one.labelled for one in counts]
    low, high = _bounds(counts, [one.wrong for one in counts], doubts, delta)
    # Labels of audits that the big model did not answer say nothing of `share`, but bound it.
    return Estimate(min(max(share, low), high), low, high, labelled)


def _looked(one: AuditCounts) -> int:
    """Audits on which the models differ and that have a person's label."""
    return one.differ - one.open


def _is_split(one: AuditCounts) -> bool:
    """Whether the counts say on which of the labelled audits the models differ; some that were reported do not."""
    looked = _looked(one)
    return one.lost + one.won <= looked <= one.labelled and looked - one.won <= one.wrong


def _weighted(counts: Sequence[AuditCounts], known: _Counted) -> float:
    return sum(known(one) / one.chance for one in counts)


def evidence_path(audits: Audits, policy: Policy) -> AlarmPath:
    """How the evidence against what a policy promises went."""
    return alarm_path(audits, promises(policy))


def promises(policy: Policy) -> dict[bool, float]:
    """Upper bound of the share that differs, by whether the exits are events; nothing of those it does not know."""
    rule = None if policy.events is None else policy.events.agreement
    known = {False: policy.promised_to_differ, True: None if rule is None else rule.at_most}
    return {events: at_most for events, at_most in known.items() if at_most is not None}


def _promised(policy: Policy, frames: int, events: int) -> tuple[float | None, int]:
    """What is promised of these exits on average; and of how many nothing is, where something is of the others."""
    known, exits = promises(policy), {False: frames, True: events}
    total = sum(exits[kind] for kind in known)
    if not total:
        return (None if frames or events else max(known.values(), default=None)), 0
    return sum(exits[kind] * known[kind] for kind in known) / total, frames + events - total


def stratified(counts: Sequence[AuditCounts], ones: _Counted, known: _Counted) -> float | None:
    """The share of ones among all frames: those known of each chance stand for all of that chance.

    Chances of which nothing is known are taken together with the next higher one, frames weighted by 1 / chance; the
    last with the one before.

    Args:
        counts: by rising chance, all above 0, frames before events.
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
    labelled = _weighted(counts, _looked)
    if differ is None or not labelled:
        return None
    gained = _weighted(counts, lambda one: one.lost - one.won)
    doubts = [one.drawn - one.answered + one.open for one in counts]
    lost_low, lost_high = _bounds(counts, [one.lost for one in counts], doubts, delta / 2)
    won_low, won_high = _bounds(counts, [one.won for one in counts], doubts, delta / 2)
    frames = sum(map(_looked, counts))
    return Estimate(differ * gained / labelled, lost_low - won_high, lost_high - won_low, frames)


def _bounds(
    counts: Sequence[AuditCounts], ones: Sequence[int], doubts: Sequence[int], delta: float
) -> tuple[float, float]:
    chances = np.array([one.chance for one in counts])
    units = sum(one.frames for one in counts)
    return bounds(units, np.array(ones), np.array(doubts), chances, float(chances.min()), delta)
