"""How many labels does a promise need, and would predictions in place of labels help?

    python benchmarks/few_labels.py [--records LITTLE.npz BIG.npz] [--draws 200] [--size 2000]

Calibration samples are drawn from a fixed set of records with replacement. Without --records the set is synthetic:
100,000 records of two models with ten classes, little 83%, big 89%, confidences that tell much of who is right.

Labels: the share of frames that `edge-sdk calibrate --ask` lists, the share whose answer the walk used before it ended,
and whether the threshold is the one that all labels give.

Control variate: at a fixed threshold, the loss D of a frame is predicted from what both models say of it (do they
differ, would it exit, both confidences), by least squares on their products, fitted on other folds of the sample
(cross-prediction, arXiv 2309.16598, algorithm 1), and the predictions' mean over the whole source, as if unlabelled
frames were free, takes the place of their mean over the sample (arXiv 2301.09633, section 2; how far they are trusted
is tuned as in arXiv 2311.01453, section 6). R2 is the share of the variance of D that the held-out predictions explain.
The bounds are one-sided 95% upper bounds, less the estimate: exact is the score test's, normal that of the central
limit theorem, with and without predictions. "Missed" counts how often the true loss lies above the bound, which may be
5%.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from rich.console import Console
from rich.table import Table

from edge_sdk.errors import WorkbenchError
from edge_sdk.workbench.calibration import Rule
from edge_sdk.workbench.cascade.curve import cascade_curve, lossless
from edge_sdk.workbench.cascade.score_test import guaranteed_loss
from edge_sdk.workbench.few_labels import ask, calibrate_few
from edge_sdk.workbench.records import UNKNOWN, Records, RecordsInfo, check_same, from_logits
from edge_sdk.workbench.records_file import load_records

RULES = (Rule(eps=0.005), Rule(eps=0.01), Rule(eps=0.02), Rule(eps=0.0), Rule(as_right=0.97))
FOLDS = 5
Z = 1.6449


def synthetic(count: int = 100_000) -> tuple[Records, Records]:
    """Two models that find the same frames hard, the little one more."""
    rng = np.random.default_rng(0)
    truths = rng.integers(0, 10, count)
    ease = rng.gamma(2.0, 2.2, count)
    shared = rng.normal(0, 1, (count, 10))
    made = []
    for name, push, macs in (("little", 1.0, 10), ("big", 1.25, 100)):
        logits = (0.7 * shared + 0.7 * rng.normal(0, 1, (count, 10))).astype(np.float32)
        logits[np.arange(count), truths] += (push * ease).astype(np.float32)
        ids = [f"{index:06d}" for index in range(count)]
        labels = tuple("abcdefghij")
        made.append(from_logits(RecordsInfo(model=name, labels=labels, macs=macs), ids, truths.tolist(), logits))
    return made[0], made[1]


def drawn(records: Records, rows: np.ndarray) -> Records:
    """A sample with replacement, with ids of its own."""
    part = replace(records, ids=np.array([f"{row}" for row in range(len(records))])).part(np.unique(rows))
    place = np.searchsorted(np.unique(rows), rows)
    return Records(
        part.info,
        np.array([f"{index:06d}" for index in range(len(rows))]),
        part.truths[place],
        part.predicted[place],
        part.confidence[place],
        None if part.probabilities is None else part.probabilities[place],
        None if part.energy is None else part.energy[place],
    )


def labels_needed(little: Records, big: Records, rule: Rule, draws: int, size: int) -> tuple[str, ...]:
    """One row of the table of labels."""
    rng, asked, used, same, promised = np.random.default_rng(1), [], [], 0, 0
    for _ in range(draws):
        rows = rng.integers(len(little), size=size)
        one, two = drawn(little, rows), drawn(big, rows)
        hidden = [replace(model, truths=np.full(size, UNKNOWN)) for model in (one, two)]
        questions = ask(hidden[0], hidden[1], rule)
        asked.append(len(questions) / size)
        answers = {f"{row:06d}": one.info.labels[int(one.truths[row])] for row in questions.rows}
        whole, few = outcome(one, two, rule, {}), outcome(hidden[0], hidden[1], rule, answers)
        same += whole[0] == few[0]
        promised += whole[0] is not None
        if few[1] is not None:
            used.append(few[1] / size)
    name = f"eps {100 * rule.eps:g}" if rule.eps is not None else f"as right {rule.as_right:.0%}"
    some = f"{np.mean(used):.1%}" if used else "-"
    return name, f"{np.mean(asked):.1%}", some, f"{same / draws:.0%}", f"{promised / draws:.0%}"


def outcome(little: Records, big: Records, rule: Rule, answers: Mapping[str, str]) -> tuple[float | None, int | None]:
    """Threshold and answers used; None where nothing can be promised."""
    try:
        found = calibrate_few(little, big, rule, answers)
    except WorkbenchError:
        return None, None
    return found.policy.threshold, found.used


def control_variate(little: Records, big: Records, share: float, draws: int, size: int) -> tuple[str, ...]:
    """One row of the table of bounds, at the threshold at which a share of the source exits."""
    threshold = float(np.quantile(little.confidence, 1 - share))
    exits = little.confidence >= threshold
    loss = np.where(exits, big.right.astype(float) - little.right, 0.0)
    open_ = ((little.predicted != big.predicted) & exits).astype(float)
    sure, cloud = little.confidence.astype(float), big.confidence.astype(float)
    terms = [np.ones_like(sure), sure, cloud, sure * cloud, sure**2, cloud**2]
    features = np.stack([open_ * term for term in terms], axis=1)
    true, rng = loss.mean(), np.random.default_rng(2)
    explained, gaps, missed = [], [], np.zeros(3)
    for _ in range(draws):
        rows = rng.integers(len(loss), size=size)
        mine, inputs = loss[rows], features[rows]
        fold = np.arange(size) % FOLDS
        held, everywhere = np.empty(size), 0.0
        for number in range(FOLDS):
            rest = fold != number
            weights = np.linalg.lstsq(inputs[rest], mine[rest], rcond=1e-6)[0]
            held[~rest] = inputs[~rest] @ weights
            everywhere += float(features.mean(axis=0) @ weights) / FOLDS
        moving = float(np.var(held))  # how far to trust the predictions: arXiv 2311.01453, section 6
        trust = float(np.clip(np.cov(mine, held)[0, 1] / moving, 0, 1)) if moving > 0 else 0.0
        held, everywhere = trust * held, trust * everywhere
        explained.append(1 - float(np.var(mine - held)) / max(float(np.var(mine)), 1e-12))
        middle = everywhere + float((mine - held).mean())
        bounds = np.array(
            [
                guaranteed_loss(int((mine > 0).sum()), int((mine < 0).sum()), size, 0.05),
                mine.mean() + Z * mine.std() / np.sqrt(size),
                middle + Z * (mine - held).std() / np.sqrt(size),
            ]
        )
        gaps.append(bounds - np.array([mine.mean(), mine.mean(), middle]))
        missed += bounds < true
    cells = [f"{100 * gap:.2f}" for gap in np.mean(gaps, axis=0)] + [f"{one / draws:.1%}" for one in missed]
    return f"{share:.0%}", f"{100 * true:+.2f}", f"{np.mean(explained):.1%}", *cells


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", nargs=2, metavar=("LITTLE", "BIG"), help="records of a pair")
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--size", type=int, default=2000, help="records of a calibration draw")
    options = parser.parse_args()
    little, big = (load_records(path) for path in options.records) if options.records else synthetic()
    check_same(little, big)
    curve = cascade_curve(little.confidence, little.right, big.right, little_macs=1.0, big_macs=10.0)
    free = lossless(curve).exit_ratio
    console = Console(width=120)
    differ = float((little.predicted != big.predicted).mean())
    console.print(
        f"{len(little):,} records, little {little.accuracy:.1%}, big {big.accuracy:.1%}, classes differ on "
        f"{differ:.1%}, {free:.1%} may exit at no loss; {options.draws} draws of {options.size}"
    )
    table = Table("rule", "asked", "answers used", "same threshold", "promised", title="Labels", title_justify="left")
    for rule in RULES:
        table.add_row(*labels_needed(little, big, rule, options.draws, options.size))
    console.print(table)
    columns = (
        "exits",
        "loss",
        "R2",
        "exact",
        "normal",
        "with predictions",
        "missed: exact",
        "normal",
        "with predictions",
    )
    table = Table(*columns, title="Control variate: bound above the estimate, points", title_justify="left")
    for share in (0.6, 0.7, 0.8, 0.9):
        table.add_row(*control_variate(little, big, share, options.draws, options.size))
    console.print(table)


if __name__ == "__main__":
    main()
