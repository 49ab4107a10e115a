"""Calibration on visits: how many frames answer, temperature, weight of the little model, and the threshold of events.

A group split divides the events by place. On the selection part all but the threshold is fitted, and the place where
its walk starts; on the evaluation part the threshold is chosen under a promise on new places
(`edge_sdk.workbench.cascade.place_test`) and every reported figure is measured.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_sdk.errors import WorkbenchError
from edge_sdk.model.policy import EventRule
from edge_sdk.workbench.agreement import measure_agreement
from edge_sdk.workbench.calibration import Rule, in_words
from edge_sdk.workbench.cascade.confidence import fit_temperature
from edge_sdk.workbench.cascade.curve import Bools, Curve, Floats, above, cascade_curve, lossless, within
from edge_sdk.workbench.cascade.group_split import selection_part
from edge_sdk.workbench.cascade.guarantee import fixed_sequence, quantile_candidates
from edge_sdk.workbench.cascade.place_test import guaranteed_place_loss, likely_bet, place_losses, place_p_value
from edge_sdk.workbench.event_records import MOST_BEST, EventRecords

FEWEST_EVENTS = 40
"""Events that a calibration takes at least."""
EVENT_RULES = ("eps", "drop", "offload_ratio")
_WEIGHTS = np.linspace(0, 0.5, 11)
_USUAL = EventRule()


@dataclass(frozen=True, slots=True, eq=False)
class EventCalibration:
    """The result. Figures are of the evaluation part.

    Attributes:
        rule: to be written into the bundle's policy.
        events: number of events, both parts together.
        places: number of places, both parts together.
        exit_ratio: share of the events that exit.
        accuracy: share of the events that the cascade answers rightly.
        little_accuracy: of the device alone.
        big_accuracy: of the big model on every frame.
        promise: upper bound on what the cascade loses against that on new places; negative: it gains as much.
        delta: probability that the bound fails.
        guaranteed: whether the threshold was chosen to meet the bound; otherwise the bound was computed for it.
        bytes_per_event: sent for an event on average, exits counted as 0; 0: unknown.
        curve_exits: `float64 (K,)`, exit ratios of K thresholds, rising.
        curve_accuracy: `float64 (K,)`, the cascade's accuracy at them.
    """

    rule: EventRule
    events: int
    places: int
    exit_ratio: float
    accuracy: float
    little_accuracy: float
    big_accuracy: float
    promise: float
    delta: float
    guaranteed: bool
    bytes_per_event: float
    curve_exits: Floats
    curve_accuracy: Floats

    def sentence(self) -> str:
        """The result in words."""
        sent = f"{self.bytes_per_event:,.0f} bytes an event" if self.bytes_per_event else "an unknown number of bytes"
        return (
            f"Events: at T = {self.rule.threshold:.4f} on the mean of the {self.rule.best} least empty frames, "
            f"{1 - self.exit_ratio:.1%} of them send one frame ({sent}); little {self.little_accuracy:.1%}, cascade "
            f"{self.accuracy:.1%}, the big model on every frame {self.big_accuracy:.1%}; with {1 - self.delta:.0%} "
            f"confidence accuracy on new places is {in_words(self.promise)} on every frame."
        )


def calibrate_events(
    events: EventRecords,
    rule: Rule,
    *,
    best: int | None = None,
    ensemble: float | None = None,
) -> EventCalibration:
    """Find the rule of events.

    Args:
        events: of a pair of models, labelled; others are left out.
        rule: how the threshold is chosen: `eps`, `drop` or `offload_ratio`, all of events.
        best: frames that answer for an event; None: chosen among 1 to 5.
        ensemble: weight of the little model in the last word; None: chosen.

    Raises:
        WorkbenchError: too few events or places, another rule, or a promise that these events cannot give.
    """
    if rule.name not in EVENT_RULES:
        raise WorkbenchError(f"expected a rule of events: {', '.join(EVENT_RULES)}; got {rule.name}")
    events = events.part(events.truths >= 0)
    if len(events) < FEWEST_EVENTS:
        raise WorkbenchError(f"expected at least {FEWEST_EVENTS} labelled events; got {len(events)}")
    fitting = selection_part(events.places.tolist(), fewest=FEWEST_EVENTS // 4)
    mine, rest = events.part(fitting), events.part(~fitting)
    chosen = _fit(mine, best, ensemble)
    ours, others = _Judged.of(mine, chosen), _Judged.of(rest, chosen)
    threshold = _plain(rule, ours) if rule.eps is None else _promised(rule.eps, rule.delta, ours, others)
    promise = rule.eps
    if promise is None:
        promise = guaranteed_place_loss(others.losses(threshold), rule.delta, ours.losses(threshold))
    threshold = min(max(threshold, 0.0), 1.0)
    exits = others.confidence >= threshold
    agreement = measure_agreement(
        others.confidence,
        exits,
        device=others.device,
        big=others.big,
        delta=rule.delta,
        places=others.places,
        times=rest.began,
    )
    thresholds = quantile_candidates(others.confidence)
    return EventCalibration(
        rule=EventRule(threshold, chosen.best, chosen.ensemble, chosen.temperature, agreement),
        events=len(events),
        places=len(np.unique(events.places)),
        exit_ratio=float(exits.mean()),
        accuracy=float(others.right(threshold).mean()),
        little_accuracy=float(others.little.mean()),
        big_accuracy=float(others.reference.mean()),
        promise=promise,
        delta=rule.delta,
        guaranteed=rule.guaranteed,
        bytes_per_event=float((rest.upload_bytes[:, 0] * ~exits).mean()),
        curve_exits=np.array([(others.confidence >= one).mean() for one in thresholds]),
        curve_accuracy=np.array([others.right(one).mean() for one in thresholds]),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Judged:
    """Events under a rule without its threshold: what each way of answering gets right."""

    places: NDArray[np.str_]
    confidence: Floats
    little: Bools
    final: Bools
    reference: Bools
    device: NDArray[np.int64]
    big: NDArray[np.int64]

    @classmethod
    def of(cls, events: EventRecords, rule: EventRule) -> _Judged:
        mean = events.decided_on(rule)
        truths = events.truths
        return cls(
            events.places,
            mean.max(axis=1),
            mean.argmax(axis=1) == truths,
            events.final(mean, rule.ensemble).argmax(axis=1) == truths,
            events.reference_answers(rule.best) == truths,
            mean.argmax(axis=1),
            events.sent[:, 0].argmax(axis=1),
        )

    def right(self, threshold: float) -> Bools:
        """`bool (E,)`: the cascade's answer is right."""
        result: Bools = np.where(self.confidence >= threshold, self.little, self.final)
        return result

    def losses(self, threshold: float) -> Floats:
        """What the cascade loses against the big model on every frame, by place."""
        right = self.right(threshold)
        return place_losses(self.reference & ~right, right & ~self.reference, self.places)


def _fit(events: EventRecords, best: int | None, ensemble: float | None) -> EventRule:
    """Frames, temperature and weight of the greatest area under accuracy over exits; the usual ones where equal."""
    found: list[tuple[float, int, EventRule]] = []
    for frames in range(1, MOST_BEST + 1) if best is None else (best,):
        mean = events.means(frames)
        temperature = fit_temperature(np.log(np.maximum(mean, 1e-12)), events.truths)
        for weight in _WEIGHTS if ensemble is None else (ensemble,):
            one = EventRule(0.0, frames, round(float(weight), 2), temperature)
            usual = -abs(frames - _USUAL.best) - abs(round(20 * (one.ensemble - _USUAL.ensemble)))
            found.append((round(_area(events, one), 6), usual, one))
    return max(found, key=lambda entry: entry[:2])[2]


def _area(events: EventRecords, rule: EventRule) -> float:
    return _curve(_Judged.of(events, rule)).area()


def _curve(judged: _Judged) -> Curve:
    return cascade_curve(
        judged.confidence,
        judged.little,
        judged.reference,
        little_macs=float("nan"),
        big_macs=float("nan"),
        offloaded_right=judged.final,
    )


def _promised(eps: float, delta: float, selection: _Judged, evaluation: _Judged) -> float:
    """The threshold of the fewest sent events under the promise: a walk down from where it is likeliest to hold."""
    walk = np.append(above(1.0), quantile_candidates(selection.confidence))
    distance = []
    for threshold in walk:
        losses = selection.losses(threshold)
        spread = np.sqrt((losses.var() + 1 / len(losses) ** 2) / len(losses))
        distance.append((eps - losses.mean()) / spread)
    start = int(np.argmax(distance))

    def p_values(chunk: slice) -> Floats:
        return np.array(
            [
                place_p_value(evaluation.losses(one), eps, likely_bet(selection.losses(one), eps))
                for one in walk[start:][chunk]
            ]
        )

    last, _ = fixed_sequence(p_values, len(walk) - start, delta)
    if last is None:
        least = guaranteed_place_loss(evaluation.losses(walk[start]), delta, selection.losses(walk[start]))
        places = len(np.unique(evaluation.places))
        raise WorkbenchError(
            f"these {len(evaluation.places)} evaluation events of {places} places cannot promise, with {1 - delta:.0%} "
            f"confidence, an accuracy on events {in_words(eps)}; the likeliest threshold promises one "
            f"{in_words(least)} (--eps {least:.4f}). More places promise more, and --drop 0 promises nothing beforehand"
        )
    return float(walk[start + last])


def _plain(rule: Rule, selection: _Judged) -> float:
    curve = _curve(selection)
    if rule.drop is not None:
        return lossless(curve, drop=rule.drop).threshold
    return within(curve, offload_ratio=rule.offload_ratio, frames_per_day=rule.frames_per_day).threshold
