"""Does the guarantee hold? Violation rates of guaranteed and plain thresholds over many calibration draws.

    python benchmarks/guarantee.py [--records LITTLE.npz BIG.npz] [--draws 1000] [--size 2000]

A fixed set of records stands for the source; its own risk at every threshold is known exactly. Each draw takes a
calibration sample from it with replacement, so the draws are independent and the theorem's assumptions hold, chooses a
threshold by the plain rule of Little-Big (lossless on the sample, or losing at most eps) and under the guarantee, and
looks up what that threshold really loses. Without --records the set is synthetic (200,000 records).
"""

from __future__ import annotations

import argparse

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from edge_sdk.workbench.cascade.curve import Curve, cascade_curve, lossless
from edge_sdk.workbench.cascade.guarantee import guaranteed_threshold
from edge_sdk.workbench.records import check_same
from edge_sdk.workbench.records_file import load_records

PROMISES = ((0.0025, 0.05), (0.005, 0.05), (0.005, 0.1), (0.01, 0.05), (0.01, 0.1), (0.02, 0.1))


def synthetic() -> tuple[np.ndarray, np.ndarray, np.ndarray, float, float]:
    """A pair whose confidence is honest but not perfect: little 78%, big 90%."""
    rng = np.random.default_rng(0)
    hard = rng.beta(0.6, 1.2, 200_000)
    little = rng.random(len(hard)) < 1 - 0.75 * hard
    big = rng.random(len(hard)) < 1 - 0.32 * hard
    confidence = np.clip(1 - 0.75 * hard + rng.normal(0, 0.08, len(hard)), 0, 1)
    return confidence, little, big, 1.0, 10.0


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", nargs=2, metavar=("LITTLE", "BIG"), help="records of a pair")
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--size", type=int, default=2000, help="records of a calibration draw")
    options = parser.parse_args()
    name = "synthetic"
    if options.records:
        one, two = (load_records(path) for path in options.records)
        check_same(one, two)
        name = f"{one.info.model} and {two.info.model}"
        confidence, little, big = one.confidence.astype(np.float64), one.right, two.right
        little_macs, big_macs = float(one.info.macs), float(two.info.macs)
    else:
        confidence, little, big, little_macs, big_macs = synthetic()

    def curve(chosen: np.ndarray | slice) -> Curve:
        return cascade_curve(
            confidence[chosen], little[chosen], big[chosen], little_macs=little_macs, big_macs=big_macs
        )

    truth = curve(slice(None))
    title = f"{name}: {len(little):,} records, little {little.mean():.1%}, big {big.mean():.1%}, "
    table = Table(title=title + f"{options.draws} draws of {options.size}", title_justify="left")
    columns = ("eps, points", "delta", "rule", "loses more than eps", "MACs", "mean loss, points", "no exit possible")
    for column in columns:
        table.add_column(column, justify="left" if column == "rule" else "right")
    for eps, delta in PROMISES:
        rng = np.random.default_rng(1)
        found: dict[str, list[tuple[float, float, bool]]] = {"plain": [], "guaranteed": []}
        for _ in track(range(options.draws), f"eps {eps}, delta {delta}", transient=True):
            sample = rng.integers(len(little), size=options.size)
            plain = lossless(curve(sample), drop=eps).threshold
            sure = guaranteed_threshold(confidence[sample], little[sample], big[sample], eps=eps, delta=delta)
            for rule, threshold in (("plain", plain), ("guaranteed", sure.threshold)):
                point = truth.at(threshold)
                found[rule].append((truth.big_accuracy - point.accuracy, point.macs / big_macs, point.exit_ratio == 0))
        for rule, rows in found.items():
            loss, macs, none = (np.array(column) for column in zip(*rows, strict=True))
            table.add_row(
                f"{100 * eps:.2f}",
                f"{delta:.0%}",
                rule,
                f"{(loss > eps + 1e-12).mean():.1%}",
                f"{macs.mean():.1%}",
                f"{100 * loss.mean():+.2f}",
                f"{none.mean():.1%}",
            )
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
