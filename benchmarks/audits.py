"""Audits in simulated service: false alarms, drift that is found, and what the estimate is worth.

    python benchmarks/audits.py

A device's life is 100,000 exits in four bands of confidence of the same size, in which the big model says another label
on 6, 1.5, 0.4 and 0.1% of the frames (2% in all); calibration saw 2,000 exits. Every table is of 1,000 lives. Capital
is looked at as it would be by somebody who never looks away: just before and at every frame that differs.

Where events are answered as a whole, a life is a year of 10,000 events that exit and 8,760 frames beside them that
belong to none, such as one an hour; calibration saw 500 events and 2,000 frames. Events differ as often as the frames
above, these frames a fifth as often, and each kind is held against its own promise.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edge_sdk.model.alarm import Strata, log_e_values
from edge_sdk.model.betting import bounds, log_capital_above, log_capital_below
from edge_sdk.model.evidence import DELTA, stratified
from edge_sdk.model.policy import Policy
from edge_sdk.pipeline.audit import AuditDraw
from edge_sdk.store.audits import EVERY, AuditCounts
from edge_sdk.workbench.agreement import measure_agreement

RATES = np.array([0.06, 0.015, 0.004, 0.001])  # 2% in all
EXITS = 100_000
SEEN_AT_CALIBRATION = 2_000

EVENTS, BESIDE = 10_000, 8_760
EVENTS_AT_CALIBRATION = 500

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Life:
    """What audits have seen.

    Attributes:
        places: exits up to each audited frame on which the models differ.
        bands: of these frames.
        starts: of further tests, as in `Audits`.
        counts: at the end, by rising chance.
        audits: so far, at each of `places`.
    """

    places: Ints
    bands: Ints
    starts: list[tuple[int, int]]
    counts: list[AuditCounts]
    audits: Ints


@dataclass(frozen=True)
class World:
    """How frames come.

    Attributes:
        rates: by band, how often the models differ.
        chances: by band, of an audit.
        factor: the rates rise by it ...
        since: ... after this many exits.
        visit: exits of one visit, which are all alike.
        one_a_visit: no second frame of a visit is audited.
        lost: by whether the models differ, share of the audits that is lost.
    """

    rates: Floats
    chances: Floats
    factor: float = 1.0
    since: int = 0
    visit: int = 1
    one_a_visit: bool = True
    lost: tuple[float, float] = (0.0, 0.0)

    def life(self, rng: np.random.Generator, exits: int = EXITS) -> Life:
        """One device's life. Visits without an audit are drawn as numbers alone."""
        visits, size = exits // self.visit, self.visit
        some = 1 - (1 - self.chances) ** size  # of a visit to be audited at all, by band
        audited = rng.geometric(some.mean(), int(visits * some.mean() * 1.3) + 200).cumsum()
        audited = audited[audited <= visits]
        band = rng.choice(len(some), len(audited), p=some / some.sum())
        first = 1 + np.floor(np.log1p(-rng.random(len(audited)) * some[band]) / np.log1p(-self.chances[band]))
        first = np.minimum(first.astype(np.int64), size)
        more = np.zeros_like(first) if self.one_a_visit else rng.binomial(size - first, self.chances[band])
        drawn, frames = 1 + more, first if self.one_a_visit else np.full_like(first, size)
        ends = size * (audited - np.arange(1, len(audited) + 1)) + frames.cumsum()
        rates = self.rates[band] * np.where(audited * size > self.since, self.factor, 1.0)
        differs = rng.random(len(audited)) < np.minimum(1.0, rates)
        answered = rng.binomial(drawn, 1 - np.where(differs, self.lost[1], self.lost[0]))
        others = rng.multinomial(visits - len(audited), (1 - some) / (1 - some).sum())
        audits, ones = drawn.cumsum(), np.repeat(np.arange(len(audited)), answered * differs)
        starts = [(n, int(ends[np.searchsorted(audits, n * EVERY)])) for n in range(1, int(audits[-1]) // EVERY + 1)]
        totals = [np.bincount(band, weights=of, minlength=4) for of in (frames, drawn, answered, answered * differs)]
        totals[0] += size * others
        counts = [
            AuditCounts(float(chance), int(seen), int(asked), int(known), differ=int(other))
            for chance, seen, asked, known, other in zip(self.chances, *totals, strict=True)
        ]
        return Life(ends[ones], band[ones], starts, sorted(counts, key=lambda one: one.chance), audits[ones])


def alarm_at(world: World, life: Life, promised: float, *, restarts: bool = True) -> int | None:
    """At which of the frames that differ the alarm is raised; None: it never is."""
    order = np.argsort(world.chances, kind="stable")
    bands = np.argsort(order)[life.bands]
    starts = [(number, (place,)) for number, place in life.starts] if restarts else []
    strata = Strata(world.chances[order], np.zeros(4, np.int64), np.array([promised]))
    path = log_e_values(life.places[:, None], bands, strata, starts=starts)[:-1]
    if not restarts:
        path = path + math.log(2)
    raised = np.flatnonzero(path >= math.log(1 / DELTA))
    return int(raised[0]) if len(raised) else None


def ever_missed(world: World, life: Life, share: float) -> bool:
    """Whether the interval ever leaves the share out: the lower end at a frame that differs, the upper before one."""
    units, ones = life.places, np.eye(4, dtype=np.int64)[life.bands].cumsum(axis=0)
    enough = math.log(2 / DELTA)
    before = np.vstack([np.zeros((1, 4), np.int64), ones])
    ends = np.append(units - 1, EXITS)
    low = log_capital_above(units, ones, world.chances, share)
    high = log_capital_below(ends, before, world.chances, float(world.chances.min()), share)
    return bool((low >= enough).any() or (high >= enough).any())


def calibrated(
    rng: np.random.Generator, share: float, rates: Floats = RATES, seen: int = SEEN_AT_CALIBRATION
) -> tuple[Floats, float]:
    """A calibration of the world as it is: chances of audits, and what is promised."""
    confidence = rng.random(seen)
    differ = rng.random(seen) < rates[np.minimum((confidence * 4).astype(int), 3)]
    each, no = np.arange(seen).astype(str), np.zeros(seen, np.int64)
    agreement = measure_agreement(
        confidence, confidence >= 0, device=no, big=differ.astype(np.int64), delta=DELTA, places=each
    )
    assert agreement is not None
    draw = AuditDraw(Policy(agreement=agreement), share, bytes(32))
    return np.array([draw.chance((band + 0.5) / 4) for band in range(4)]), agreement.at_most


@dataclass(frozen=True)
class Year:
    """A device that answers events as a whole, with what its calibration found of events and of frames.

    Attributes:
        chances: `float64 (2, 4)`, of an audit, by kind (frames, events) and band.
        promised: `float64 (2,)`.
        one_promise: all exits are held against the greater of both, as if they were of one kind.
    """

    chances: Floats
    promised: Floats
    one_promise: bool = False

    @classmethod
    def of(cls, rng: np.random.Generator, share: float) -> Year:
        """As a calibration of the world as it is leaves it."""
        frames = calibrated(rng, share, RATES / 5)
        events = calibrated(rng, share, RATES, EVENTS_AT_CALIBRATION)
        return cls(np.array([frames[0], events[0]]), np.array([frames[1], events[1]]))

    def lived(
        self, rng: np.random.Generator, factors: tuple[float, float] = (1.0, 1.0), since: float = 0.0
    ) -> tuple[bool, bool, int, list[AuditCounts]]:
        """Whether the alarm was raised, and was after the change; audits from the change on until then; the counts.

        Args:
            rng: of the life.
            factors: by which the rates of frames and events rise ...
            since: ... after this part of the year.
        """
        kind = rng.permutation(np.repeat([0, 1], [BESIDE, EVENTS]))
        band, place = rng.integers(0, 4, len(kind)), np.arange(len(kind))
        changed = place >= since * len(kind)
        rates = RATES[band] * np.array([0.2, 1.0])[kind] * np.where(changed, np.array(factors)[kind], 1.0)
        differs = rng.random(len(kind)) < np.minimum(1.0, rates)
        drawn = rng.random(len(kind)) < self.chances[kind, band]
        so_far = np.column_stack([(kind == one).cumsum() for one in (0, 1)])
        audits = drawn.cumsum()
        ones = np.flatnonzero(drawn & differs)
        starts = [(n, so_far[np.searchsorted(audits, n * EVERY)]) for n in range(1, int(audits[-1]) // EVERY + 1)]
        strata = Strata(self.chances.ravel(), np.repeat([0, 1], 4), self.promised)
        if self.one_promise:
            strata = replace(strata, promised=np.full(2, self.promised.max()))
        path = log_e_values(so_far[ones], 4 * kind[ones] + band[ones], strata, starts=starts)[:-1]
        raised = np.flatnonzero(path >= math.log(1 / DELTA))
        at = int(ones[raised[0]]) if len(raised) else -1
        counts = [
            AuditCounts(
                float(self.chances[one, of]),
                int(mine.sum()),
                int((mine & drawn).sum()),
                int((mine & drawn).sum()),
                differ=int((mine & drawn & differs).sum()),
                events=bool(one),
            )
            for one in (0, 1)
            for of in np.argsort(self.chances[one], kind="stable")
            for mine in [(kind == one) & (band == of)]
        ]
        asked = int(audits[at] - (drawn & ~changed).sum()) if at >= 0 and changed[at] else 0
        return at >= 0, at >= 0 and bool(changed[at]), asked, counts


def years_of_events(runs: int) -> None:
    """False alarms, drift that is found and the estimate, where events are answered as a whole."""
    print("\n| a year of events and frames | share of audits | alarm | audits until it | audits a year | ", end="")
    print("mean estimate less the truth, % | its standard error |")
    print("|" + "---|" * 7)
    for name, factors, since, one_promise in (
        ("nothing changes", (1.0, 1.0), 0.0, False),
        ("events differ twice as often", (1.0, 2.0), 0.0, False),
        ("events differ 3 times as often", (1.0, 3.0), 0.0, False),
        ("events differ 5 times as often", (1.0, 5.0), 0.0, False),
        ("events differ 5 times as often, from half of the year on", (1.0, 5.0), 0.5, False),
        ("the frames differ 10 times as often", (10.0, 1.0), 0.0, False),
        ("the same, one promise for all", (10.0, 1.0), 0.0, True),
    ):
        for share in (0.01, 0.05, 0.2):
            rng, found, until, drawn, errors = np.random.default_rng(4), 0, list[int](), list[int](), list[float]()
            for _ in range(runs):
                year = replace(Year.of(rng, share), one_promise=one_promise)
                raised, in_time, asked, counts = year.lived(rng, factors, since)
                found += raised if factors == (1.0, 1.0) else in_time
                until += [asked] * in_time
                drawn.append(sum(one.drawn for one in counts))
                estimate = stratified(counts, lambda one: one.differ, lambda one: one.answered)
                rates = [
                    float(RATES.mean()) * of * (since + (1 - since) * factor)
                    for of, factor in zip((0.2, 1.0), factors, strict=True)
                ]
                if estimate is not None:
                    errors.append(estimate - (BESIDE * rates[0] + EVENTS * rates[1]) / (BESIDE + EVENTS))
            median = f"{np.median(until):,.0f}" if until and factors != (1.0, 1.0) else "-"
            print(
                f"| {name} | {share:.0%} | {found / runs:.1%} | {median} | {np.mean(drawn):,.0f} | "
                f"{100 * np.mean(errors):+.3f} | {100 * np.std(errors) / math.sqrt(len(errors)):.3f} |",
                flush=True,
            )


def false_alarms(runs: int) -> None:
    """Shares of lives with an alarm though nothing changed."""
    print("\n| frames | share of audits | promise: the true share | promise: as calibrated |")
    print("|---|---|---|---|")
    for name, visit, one, lost in (
        ("independent", 1, True, 0.0),
        ("independent, 30% of the audits are lost", 1, True, 0.3),
        ("visits of 20 alike, one audit a visit", 20, True, 0.0),
        ("visits of 20 alike, any number of audits a visit", 20, False, 0.0),
    ):
        for share in (0.01, 0.05, 0.2):
            rng, raised = np.random.default_rng(1), np.zeros(2)
            for _ in range(runs):
                chances, promised = calibrated(rng, share)
                world = World(RATES, chances, visit=visit, one_a_visit=one, lost=(lost, lost))
                life = world.life(rng)
                raised += [alarm_at(world, life, bound) is not None for bound in (float(RATES.mean()), promised)]
            print(f"| {name} | {share:.0%} | {raised[0] / runs:.1%} | {raised[1] / runs:.1%} |", flush=True)


def found_drift(runs: int) -> None:
    """Shares of lives with an alarm after the models began to differ more often, and how long that took."""
    heads = ("at random", "by confidence", "by confidence, one test")
    print("\n| models differ | since exit | " + " | ".join(f"{one}: alarm | audits until it" for one in heads) + " |")
    print("|" + "---|" * 8)
    for factor in (1.25, 1.5, 2.0, 3.0, 5.0):
        for since in (0, 50_000):
            rng, until = np.random.default_rng(2), dict[str, list[float]]()
            for _ in range(runs):
                chances, promised = calibrated(rng, 0.01)
                world = World(RATES, chances, factor, since)
                plain, life = replace(world, chances=np.full(4, 0.01)).life(rng), world.life(rng)
                for name, one, at in (
                    (heads[0], plain, alarm_at(replace(world, chances=np.full(4, 0.01)), plain, promised)),
                    (heads[1], life, alarm_at(world, life, promised)),
                    (heads[2], life, alarm_at(world, life, promised, restarts=False)),
                ):
                    if at is not None and one.places[at] > since:
                        asked = sum(counts.drawn for counts in one.counts) * since / EXITS
                        until.setdefault(name, []).append(float(one.audits[at] - asked))
            found = [until.get(name, []) for name in heads]
            cells = [f"{len(one) / runs:.1%} | {f'{np.median(one):,.0f}' if one else '-'}" for one in found]
            print(f"| {factor:g} times as often | {since:,} | " + " | ".join(cells) + " |", flush=True)


def estimates(runs: int) -> None:
    """Bias, error and coverage of the estimate."""
    print("\n| audits | lost | mean estimate, % | its standard error | spread | mean interval | share missed ever |")
    print("|---|---|---|---|---|---|---|")
    base = World(RATES, calibrated(np.random.default_rng(0), 0.01)[0])
    for name, world in (
        ("by confidence, 1%", base),
        ("at random, 1%", replace(base, chances=np.full(4, 0.01))),
        ("by confidence, 1%", replace(base, lost=(0.3, 0.3))),
        ("by confidence, 1%", replace(base, lost=(0.1, 0.6))),
    ):
        rng, found, missed, ends = np.random.default_rng(3), [], 0, []
        share = float(RATES.mean())
        for _ in range(runs):
            life = world.life(rng)
            counts = life.counts
            estimate = stratified(counts, lambda one: one.differ, lambda one: one.answered)
            assert estimate is not None
            found.append(estimate)
            ones = np.array([one.differ for one in counts])
            doubts = np.array([one.drawn - one.answered for one in counts])
            chances = np.array([one.chance for one in counts])
            low, high = bounds(EXITS, ones, doubts, chances, float(chances.min()), DELTA)
            ends.append((low, high))
            if any(world.lost):  # at the end alone: before it, what is lost is not kept here
                missed += not low <= share <= high
            else:
                missed += ever_missed(world, life, share)
        low, high = np.mean(ends, axis=0)
        lost = (
            f"{world.lost[0]:.0%} of those that agree, {world.lost[1]:.0%} of the others" if any(world.lost) else "none"
        )
        print(
            f"| {name} | {lost} | {100 * np.mean(found):.3f} | {100 * np.std(found) / math.sqrt(runs):.3f} | "
            f"{100 * np.std(found):.3f} | {100 * low:.2f} to {100 * high:.2f} | "
            f"{missed / runs:.1%}{' (at the end)' if any(world.lost) else ''} |"
        )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1_000)
    parser.add_argument("--only", choices=list(TABLES), help="One table alone.")
    given = parser.parse_args()
    for name, table in TABLES.items():
        if given.only in (None, name):
            table(given.runs)


TABLES = {"false-alarms": false_alarms, "drift": found_drift, "estimates": estimates, "events": years_of_events}


if __name__ == "__main__":
    main()
