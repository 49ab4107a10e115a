"""The alarm: evidence against what calibration promised of exits, along the exits.

Frames that are answered by themselves and events that are answered as a whole have each a promise of their own
(`Policy.agreement`, `EventRule.agreement`). Their bets are one game: on a frame the gambler bets against the promise of
frames, on an event against that of events. While both hold his capital is a supermartingale, in whatever order frames
and events come.

Differences that repeat a cause of the same day (`edge_sdk.store.audits`) count as agreeing. That can only lower the
capital, so what holds without it holds with it; and a day with one waving branch is one difference and not twenty.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_sdk.model.betting import log_gains_above, log_sum
from edge_sdk.store.audits import EVERY, Audits, Difference

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Strata:
    """H chances of exits of K kinds, and what is promised of them.

    Attributes:
        chances: `float64 (H,)`, of an audit.
        kinds: `int64 (H,)`, whose chances they are, from 0.
        promised: `float64 (K,)`, upper bound of the share that differs, by kind.
    """

    chances: Floats
    kinds: Ints
    promised: Floats

    def log_gains(self, units: Ints, ones: Ints) -> Floats:
        """Log of the factor by which each bet has grown.

        Args:
            units: `int64 (..., K)`, exits so far.
            ones: `int64 (..., H)`, of these the ones that are known to differ.

        Returns:
            `float64 (..., B)` for the first B bets, which all promises allow.
        """
        gains = [
            log_gains_above(
                units[..., kind], ones[..., self.kinds == kind], self.chances[self.kinds == kind], float(promised)
            )
            for kind, promised in enumerate(self.promised)
        ]
        bets = min(one.shape[-1] for one in gains)
        result: Floats = np.sum([one[..., :bets] for one in gains], axis=0)
        return result


@dataclass(frozen=True, slots=True, eq=False)
class AlarmPath:
    """How the evidence went.

    Attributes:
        differences: the audits that differ and of which something is promised, in their order; repeats are left out.
        log_e: `float64 (D + 1,)`, log of the evidence at each of them, and now; 0 is none.
    """

    differences: tuple[Difference, ...]
    log_e: Floats

    def raised(self, delta: float) -> Difference | None:
        """The first at which the evidence was 1 / `delta`; None: none is."""
        found = np.flatnonzero(self.log_e[:-1] >= math.log(1 / delta))
        return self.differences[found[0]] if len(found) else None


def alarm_path(audits: Audits, promised: Mapping[bool, float]) -> AlarmPath:
    """The evidence that the audits of a device give.

    The capital rises at audits that differ alone, so these are looked at. Of rows that have left, the counts alone are
    known: where they suffice for the alarm, it is dated to the first audit that is known to differ after them, and
    tests that began among them are given up.

    Args:
        audits: the device's.
        promised: by whether an exit is an event, upper bound of the share that differs; the others are left out.
    """
    covered = sorted({(one.events, one.chance) for one in audits.covered if one.events in promised})
    kinds = sorted({events for events, _ in covered})
    if not covered:
        return AlarmPath((), np.zeros(1))
    place = {stratum: at for at, stratum in enumerate(covered)}
    before = np.zeros(len(covered), np.int64)
    for one in audits.gone:
        if (at := place.get((one.events, one.chance))) is not None:
            before[at] += one.causes
    found = tuple(one for one in audits.differences if one.is_event in kinds and not one.repeats)

    def by_kind(exits: int, event_exits: int) -> list[int]:
        return [event_exits if events else exits - event_exits for events in kinds]

    units = np.array([by_kind(one.exits, one.event_exits) for one in found], np.int64)
    until = [sum(one.frames for one in audits.covered if one.events is events) for events in kinds]
    path = log_e_values(
        units.reshape(-1, len(kinds)),
        np.array([place[one.is_event, one.chance] for one in found], np.int64),
        Strata(
            np.array([chance for _, chance in covered]),
            np.array([kinds.index(events) for events, _ in covered]),
            np.array([promised[events] for events in kinds]),
        ),
        starts=[(number, by_kind(*exits)) for number, *exits in audits.starts],
        before=before,
        until=until,
        given_up=sum(one.drawn for one in audits.gone if one.chance > 0) // EVERY,
    )
    return AlarmPath(found, path)


def log_e_values(
    units: Ints,
    bands: Ints,
    strata: Strata,
    *,
    starts: Sequence[tuple[int, Sequence[int]]] = (),
    before: Ints | None = None,
    until: Sequence[int] | None = None,
    given_up: int = 0,
) -> Floats:
    """Log of the evidence against "each kind's share is at most what was promised" at each exit that differs, and then.

    A test that has seen a long time without a fault has lost most of its capital when a change comes. So half of the
    capital bets from the first exit on, and of the rest 1 / (j (j + 1)) from the (j * `EVERY`)th audit on; until then
    it is kept. A sum of such capitals is one that no honest exits make grow. It is the mixture over times of change of
    Shin, Ramdas & Rinaldo, "E-detectors" (New England J. Stat. Data Sci. 2023), with weights that sum to 1, so that the
    level holds for the whole life.

    Args:
        units: `int64 (D, K)`, exits of each kind up to and with each one that differs, rising.
        bands: `int64 (D,)`, their places in `strata`.
        strata: the chances, and what is promised.
        starts: j and the exits of each kind up to and with the (j * `EVERY`)th audit.
        before: `int64 (H,)`, exits that differ before the first of `units`; None: none.
        until: exits of each kind so far; None: up to the last of `units`.
        given_up: tests that began before the first of `starts`, of which nothing is known.

    Returns:
        `float64 (D + 1,)`.
    """
    chances, kinds = len(strata.chances), len(strata.promised)
    earlier = np.zeros((1, chances), np.int64) if before is None else before[None, :]
    ones = earlier + np.vstack([0 * earlier, np.eye(chances, dtype=np.int64)[bands].cumsum(axis=0)])
    last = np.zeros((1, kinds), np.int64) if until is None else np.array([until], np.int64)
    places = np.vstack([units, np.vstack([last, units[-1:]]).max(axis=0)])
    began = np.array([[0] * kinds, *(start for _, start in starts)], np.int64)
    shares = np.array([0.5, *(0.5 / (number * (number + 1)) for number, _ in starts)])
    at_start = ones[np.searchsorted(units.sum(axis=1), began.sum(axis=1), side="right")]
    at_start[0] = 0
    worth = strata.log_gains(places, np.vstack([ones[1:], ones[-1:]]))
    stake = np.log(shares)[:, None] - strata.log_gains(began, at_start)
    running = np.searchsorted(began.sum(axis=1), places.sum(axis=1), side="right") - 1  # the latest that has begun
    values = log_sum(worth + np.logaddexp.accumulate(stake, axis=0)[running])
    kept = 1 - 0.5 * (1 - 1 / (given_up + 1)) - shares.cumsum()[running]
    with np.errstate(divide="ignore"):
        result: Floats = np.logaddexp(values, np.log(np.maximum(kept, 0.0)))
    return result
