"""Does the guarantee hold, and what does it cost? Many calibrations under several tests and starts of the walk.

    python benchmarks/guarantee.py [--records LITTLE.npz BIG.npz | --pair close] [--draws 1000] [--size 2000]

A fixed set of records stands for the source; its own risk at every threshold is known exactly. Each draw takes a
calibration sample from it with replacement, so the draws are independent and the theorem's assumptions hold. As in
`edge-sdk calibrate`, four tenths of it select (candidates, where the walk starts, the plain threshold), the rest
evaluates. Then the table says what the thresholds really lose and how many frames they send.

- plain: Little-Big's rule, losing at most eps on all of the sample.
- bound: Clopper & Pearson's bound on the share of differences, then the tail of lost - won (Berger & Boos): the
  p-value before the score test. The walk starts at the strictest threshold.
- score: the score test; the same walk.
- score, peak: starts where the selection's accuracy is highest.
- score, likely: starts where the selection says that the test is most likely passed, if it is clear about that; what
  `edge-sdk calibrate` does.
- score, split: half of the level for the walk from the strictest threshold, half for the likely start.

Without --records the set is synthetic: a pair whose little model is 14 points worse (`distinct`), one that is a point
worse (`close`), or one whose cascade beats the big model (`winner`); 200,000 records each.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from functools import lru_cache

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table
from scipy import special

from edge_sdk.workbench.cascade.curve import Curve, cascade_curve, lossless
from edge_sdk.workbench.cascade.guarantee import changed, fixed_sequence, likely_start, quantile_candidates
from edge_sdk.workbench.cascade.score_test import loss_p_value
from edge_sdk.workbench.records import check_same
from edge_sdk.workbench.records_file import load_records

Pair = tuple[np.ndarray, np.ndarray, np.ndarray, float, float]
PROMISES = ((0.0, 0.05), (0.0025, 0.05), (0.005, 0.05), (0.01, 0.05), (0.01, 0.1), (0.02, 0.1))
COUNT = 200_000


def distinct() -> Pair:
    """A pair whose confidence is honest but not perfect: little 75%, big 89%."""
    rng = np.random.default_rng(0)
    hard = rng.beta(0.6, 1.2, COUNT)
    little = rng.random(len(hard)) < 1 - 0.75 * hard
    big = rng.random(len(hard)) < 1 - 0.32 * hard
    confidence = np.clip(1 - 0.75 * hard + rng.normal(0, 0.08, len(hard)), 0, 1)
    return confidence, little, big, 1.0, 10.0


def by_rank(apart: Callable[[np.ndarray], np.ndarray], gain: Callable[[np.ndarray], np.ndarray]) -> Pair:
    """A pair by the rank of the confidence, 0 the surest: how often one alone is right, and the big one's gain."""
    rng = np.random.default_rng(0)
    rank = (np.arange(COUNT) + 0.5) / COUNT
    share = apart(rank)
    more = np.clip(gain(rank), -share, share)
    drawn = rng.random(COUNT)
    change = np.where(drawn < (share + more) / 2, 1, np.where(drawn < share, -1, 0))
    both = rng.random(COUNT) < 0.85
    return 1 - rank, np.where(change, change < 0, both), np.where(change, change > 0, both), 1.0, 10.0


PAIRS: dict[str, Callable[[], Pair]] = {
    "distinct": distinct,
    "close": lambda: by_rank(lambda x: 0.004 + 0.35 * x**4, lambda x: 0.1425 * x**9 - 0.01275 * x**2),
    "winner": lambda: by_rank(lambda x: 0.006 + 0.3 * x**3, lambda x: 0.14 * x**8 - 0.045 * x**1.5),
}


@lru_cache(maxsize=1_000_000)
def bound_p_value(lost: int, won: int, records: int, eps: float, delta: float) -> float:
    """The p-value of before: the tail of lost - won at an upper bound of the share of differences."""
    beta, apart = 0.05 * delta, lost + won
    share = float(special.betainccinv(apart + 1, records - apart, beta)) if apart < records else 1.0
    if share <= eps or share > 0.5 or eps <= 0:
        return beta if 0 < share <= eps else 1.0
    reach = 7.5 * np.sqrt(records * share) + 20
    moves = np.arange(max(0, int(records * share - reach)), min(records, int(records * share + reach)) + 1)
    ways = special.gammaln(records + 1) - special.gammaln(moves + 1) - special.gammaln(records - moves + 1)
    weights = np.exp(ways + moves * np.log(share) + (records - moves) * np.log1p(-share))
    below = special.bdtr(np.clip(np.floor((moves + lost - won) / 2), 0, moves), moves, (1 + eps / share) / 2)
    return min(1.0, float(weights @ np.where(moves + lost - won < 0, 0.0, below)) + beta)


def bound(lost: np.ndarray, won: np.ndarray, records: int, eps: float, delta: float) -> np.ndarray:
    """`bound_p_value` of each pair."""
    return np.array([bound_p_value(int(a), int(b), records, eps, delta) for a, b in zip(lost, won, strict=True)])


def rules(sample: Pair, eps: float, delta: float) -> Iterator[tuple[str, float | None]]:
    """The threshold of each rule on one sample; None: no promise can be made."""
    confidence, little, big, *_ = sample
    plain = lossless(curve_of(sample), drop=eps).threshold
    yield "plain", plain
    select = np.arange(len(confidence)) < 0.4 * len(confidence)
    mine = confidence[select], little[select], big[select]
    walk = quantile_candidates(confidence[select])
    lost, won = changed(walk, confidence[~select], little[~select], big[~select])
    gone, came = changed(walk, *mine)
    count = int((~select).sum())
    likely = int(np.flatnonzero(walk == likely_start(*mine, eps=eps, delta=delta, records=count, candidates=walk))[0])
    peak = int(np.argmin(gone - came))

    def last(test: Callable[..., np.ndarray], start: int, level: float) -> int:
        def p_values(chunk: slice) -> np.ndarray:
            return test(lost[start:][chunk], won[start:][chunk], count, eps, level)

        found, _ = fixed_sequence(p_values, len(walk) - start, level)
        return -1 if found is None else start + found

    ways = {
        "bound": last(bound, 0, delta),
        "score": last(loss_p_value, 0, delta),
        "score, peak": last(loss_p_value, peak, delta),
        "score, likely": last(loss_p_value, likely, delta),
        "score, split": max(last(loss_p_value, 0, delta / 2), last(loss_p_value, likely, delta / 2)),
    }
    for name, place in ways.items():
        yield name, float(walk[place]) if place >= 0 else None


def curve_of(pair: Pair) -> Curve:
    """Every setting of a cascade on these records."""
    confidence, little, big, little_macs, big_macs = pair
    return cascade_curve(confidence, little, big, little_macs=little_macs, big_macs=big_macs)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", nargs=2, metavar=("LITTLE", "BIG"), help="records of a pair")
    parser.add_argument("--pair", choices=PAIRS, default="distinct", help="synthetic records")
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--size", type=int, default=2000, help="records of a calibration draw")
    parser.add_argument("--eps", type=float, action="append", help="with delta 5%%; may be repeated")
    options = parser.parse_args()
    if options.records:
        one, two = (load_records(path) for path in options.records)
        check_same(one, two)
        name = f"{one.info.model} and {two.info.model}"
        pair: Pair = one.confidence.astype(np.float64), one.right, two.right, one.info.macs, two.info.macs
    else:
        name, pair = options.pair, PAIRS[options.pair]()
    truth = curve_of(pair)
    accuracies = f"little {pair[1].mean():.1%}, big {pair[2].mean():.1%}"
    title = f"{name}: {len(pair[0]):,} records, {accuracies}, {options.draws} draws of {options.size}"
    table = Table(title=title, title_justify="left")
    columns = ("eps, points", "delta", "rule", "promise broken", "sent", "mean loss, points", "no promise")
    for column in columns:
        table.add_column(column, justify="left" if column == "rule" else "right")
    for eps, delta in [(eps, 0.05) for eps in options.eps] if options.eps else PROMISES:
        rng = np.random.default_rng(1)
        found: dict[str, list[tuple[float, float, bool]]] = {}
        for _ in track(range(options.draws), f"eps {eps}, delta {delta}", transient=True):
            drawn = rng.integers(len(pair[0]), size=options.size)
            for rule, threshold in rules((pair[0][drawn], pair[1][drawn], pair[2][drawn], *pair[3:]), eps, delta):
                point = truth.point(0) if threshold is None else truth.at(threshold)
                loss = truth.big_accuracy - point.accuracy
                found.setdefault(rule, []).append((loss, 1 - point.exit_ratio, threshold is None))
        best = lossless(truth, drop=eps)
        table.add_row(f"{100 * eps:.2f}", f"{delta:.0%}", "oracle", "", f"{1 - best.exit_ratio:.1%}", "", "")
        for rule, rows in found.items():
            lost, sent, none = (np.array(column) for column in zip(*rows, strict=True))
            broken = (lost > eps + 1e-12) & ~none.astype(bool)
            cells = f"{broken.mean():.1%}", f"{sent.mean():.1%}", f"{100 * lost.mean():+.2f}", f"{none.mean():.1%}"
            table.add_row("", "", rule, *cells)
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
