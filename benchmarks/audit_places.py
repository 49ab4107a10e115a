"""Audits at places that differ, where one cause makes many differences: is the alarm false, is drift found?

    python benchmarks/audit_places.py

A life is a year of 10,000 events at one place, in which each exits. How often the models differ at a place is
beta-distributed, 2% on average, correlation 0.01. On every thirtieth day a branch waves: half of that day's events are
the branch, of which the big model says a bird each time. Calibration saw 600 places for a day each, five exits on
average, from the same world. A life's place is a new one.

Two rules are looked at side by side, on the same lives: each exit taken as one by itself (bound of Clopper & Pearson
over all exits, each difference counts), and the device's own, a bound for places with one difference a cause and day.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_sdk.model.alarm import Strata, log_e_values
from edge_sdk.model.evidence import DELTA
from edge_sdk.store.audits import EVERY
from edge_sdk.workbench.agreement import likeness, place_bound

MEAN, ALIKE = 0.02, 0.01
DAYS, EVENTS, WINDY, PLACES = 365, 10_000, 1 / 30, 600
KINDS = 12
"""Pairs of classes of which a difference may be, beside the branch."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Year:
    """The events of a year at one place: their days, whether the models differ, and of which cause."""

    day: NDArray[np.int64]
    differs: NDArray[np.bool_]
    cause: NDArray[np.int64]

    @classmethod
    def at(cls, rng: np.random.Generator, factor: float) -> Year:
        """A new place; beside the branch the models differ `factor` times as often as at calibration."""
        total = (1 - ALIKE) / ALIKE
        rate = rng.beta(MEAN * total, (1 - MEAN) * total)
        day = np.sort(rng.integers(0, DAYS, EVENTS))
        branch = (rng.random(DAYS) < WINDY)[day] & (rng.random(EVENTS) < 0.5)
        differs = branch | (rng.random(EVENTS) < min(1.0, rate * factor))
        return cls(day, differs, np.where(branch, KINDS, rng.integers(0, KINDS, EVENTS)))

    def alarm(self, rng: np.random.Generator, share: float, promised: tuple[float, float]) -> tuple[float, float]:
        """Audits until the alarm, by both rules; infinite: none is raised."""
        drawn = rng.random(EVENTS) < share
        audits = drawn.cumsum()
        starts = [(n, (int(np.searchsorted(audits, n * EVERY)) + 1,)) for n in range(1, int(audits[-1]) // EVERY + 1)]
        every = np.flatnonzero(drawn & self.differs)
        _, first = np.unique(self.day[every] * (KINDS + 1) + self.cause[every], return_index=True)
        found = list[float]()
        for ones, bound in ((every, promised[0]), (every[np.sort(first)], promised[1])):
            strata = Strata(np.array([share]), np.zeros(1, np.int64), np.array([bound]))
            path = log_e_values(ones[:, None] + 1, np.zeros(len(ones), np.int64), strata, starts=starts)[:-1]
            raised = np.flatnonzero(path >= math.log(1 / DELTA))
            found.append(float(audits[ones[raised[0]]]) if len(raised) else math.inf)
        return found[0], found[1]


def promises(rng: np.random.Generator) -> tuple[float, float]:
    """What a calibration promises by both rules."""
    units, total = rng.poisson(4.0, PLACES) + 1, (1 - ALIKE) / ALIKE
    branch = rng.binomial(units, 0.5) * (rng.random(PLACES) < WINDY)
    others = rng.binomial(units - branch, rng.beta(MEAN * total, (1 - MEAN) * total, PLACES))
    causes = (branch > 0) + others
    alike = likeness(units, causes.astype(np.float64))
    alone = place_bound(units, float((branch + others).sum()), 0.0, DELTA)
    return alone, place_bound(units, float(causes.sum()), alike, DELTA)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1_000)
    runs = parser.parse_args().runs
    print(
        "| a year at a new place | share of audits | each exit by itself: promised | alarm | audits until it ", end=""
    )
    print("| places and causes: promised | alarm | audits until it |\n|" + "---|" * 8)
    for factor in (1.0, 3.0, 5.0, 10.0):
        for share in (0.01, 0.05, 0.2):
            rng, bounds, until = np.random.default_rng(6), list[tuple[float, float]](), list[tuple[float, float]]()
            for _ in range(runs):
                bounds.append(promises(rng))
                until.append(Year.at(rng, factor).alarm(rng, share, bounds[-1]))
            cells = list[str]()
            for rule in (0, 1):
                raised = [one[rule] for one in until if one[rule] < math.inf]
                median = f"{np.median(raised):,.0f}" if raised else "-"
                mean = np.mean([one[rule] for one in bounds])
                cells.append(f"{mean:.1%} | {len(raised) / runs:.1%} | {median}")
            name = "nothing changes" if factor == 1 else f"the models differ {factor:g} times as often"
            print(f"| {name} | {share:.0%} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
