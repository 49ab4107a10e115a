"""Answers with groups on real photos: how many frames are answered, and with what, at the same promise.

    python benchmarks/rollup.py [--out photos] [--draws 100]

Needs what `benchmarks/photos.py` needs, and keeps what the models said in OUT: Lite0 at 224, 160 and 128 pixels and
Lite2 at 260, in float32 (that program shows what int8 costs), on 400 photos. The taxonomy is that of `edge-sdk photos`:
groups of animals up to animal, and vehicles, food, plants and places. The photos are halved at random again and again:
one half chooses temperature and threshold as `edge-sdk calibrate --rollup-right` does, the other is judged. "classes
alone" is the same with a taxonomy without nodes: an answer is a class or `unknown`.

The same again on the photos whose class is in a group at all: animals, vehicles, food, plants, places. The last table
is of frames that go to the cloud, at the plain threshold that loses nothing on the choosing half: with
`--rollup-exit` those on which a group is sure stay on the device.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from float_answers import float_answers
from numpy.typing import NDArray
from photos import CALIBRATION, SIDES, Said, big, halves, photos
from rich.console import Console
from rich.table import Table

from edge_sdk.model.taxonomy import Rollup, Taxonomy
from edge_sdk.networks.labels import imagenet_labels
from edge_sdk.workbench.calibrate_rollup import rollup_point, rollup_threshold
from edge_sdk.workbench.cascade.confidence import fit_temperature, softmax
from edge_sdk.workbench.cascade.curve import cascade_curve, lossless
from edge_sdk.workbench.photo_taxonomy import photo_taxonomy

PROMISES = (0.8, 0.9, 0.95)
DELTA = 0.05
NO_GROUPS = Taxonomy(classes={"": ("group of nothing",)})


@dataclass(frozen=True, slots=True)
class Judged:
    """One draw at one promise, as shares of the judged half; NaN accuracy where nothing is answered."""

    promised: bool
    classes: float
    groups: float
    accuracy: float


Draws = list[tuple[NDArray[np.bool_], NDArray[np.float32]]]


def draws(said: Said, truths: NDArray[np.int64], count: int) -> Draws:
    """The choosing half of each draw, and the probabilities that its temperature gives to all photos."""
    return [
        (mine, softmax(said.logits, fit_temperature(said.logits[mine], truths[mine])))
        for mine in halves(len(truths), count)
    ]


def first_tenths(mine: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Four of ten of the choosing half, which say where the walk starts; the photos are in random order."""
    chosen = np.flatnonzero(mine)
    fitting = np.zeros(len(mine), np.bool_)
    fitting[chosen[: len(chosen) * 4 // 10]] = True
    return fitting


def judge(drawn: Draws, truths: NDArray[np.int64], rollup: Rollup, right: float) -> list[Judged]:
    """The threshold of each choosing half on the other one."""
    found = []
    for mine, chances in drawn:
        fitting = first_tenths(mine)[mine]
        point = rollup_threshold(rollup, chances[mine], truths[mine], fitting, right=right, delta=DELTA)
        if point is None:
            found.append(Judged(False, 0.0, 0.0, float("nan")))
            continue
        there = rollup_point(rollup, chances[~mine], truths[~mine], point.threshold)
        found.append(Judged(True, there.classes / there.records, there.groups / there.records, there.accuracy))
    return found


def answers_table(littles: dict[int, Said], truths: NDArray[np.int64], count: int, what: str) -> Table:
    """Frames answered with a class or a group, with and without groups."""
    table = Table(title=f"{len(truths)} photos{what}, answers that are promised to be right", title_justify="left")
    for column in (
        "little",
        "promise",
        "answers",
        "class",
        "group",
        "unknown",
        "right",
        "promise failed",
        "no promise",
    ):
        table.add_column(column, justify="left" if column in ("little", "promise", "answers") else "right")
    labels = imagenet_labels()
    trees = {"classes alone": Rollup(NO_GROUPS, labels), "with groups": Rollup(photo_taxonomy(), labels)}
    for side, said in littles.items():
        drawn = draws(said, truths, count)
        for right in PROMISES:
            for name, rollup in trees.items():
                found = judge(drawn, truths, rollup, right)
                given = [one for one in found if one.promised]
                classes, groups = (np.mean([getattr(one, part) for one in found]) for part in ("classes", "groups"))
                accuracy = np.array([one.accuracy for one in given])
                table.add_row(
                    f"@{side}",
                    f"{right:.0%}",
                    name,
                    f"{classes:.1%}",
                    f"{groups:.1%}",
                    f"{1 - classes - groups:.1%}",
                    f"{np.nanmean(accuracy):.1%}" if len(given) else "",
                    f"{np.nanmean(accuracy < right):.0%}" if len(given) else "",
                    f"{1 - len(given) / len(found):.0%}",
                )
    return table


def cloud_table(littles: dict[int, Said], two: Said, truths: NDArray[np.int64], count: int) -> Table:
    """What goes to the cloud, and the final answers, where a sure group exits and where it does not."""
    table = Table(title="The cascade at a threshold that loses nothing", title_justify="left")
    for column in (
        "little",
        "promise",
        "sent",
        "sent if groups exit",
        "class right",
        "and if groups exit",
        "at its level",
    ):
        table.add_column(column, justify="left" if column in ("little", "promise") else "right")
    rollup = Rollup(photo_taxonomy(), imagenet_labels())
    root = len(rollup.names) - 1
    big_right = two.logits.argmax(1) == truths
    for side, said in littles.items():
        drawn = draws(said, truths, count)
        for right in PROMISES:
            rows = []
            for mine, chances in drawn:
                point = rollup_threshold(
                    rollup, chances[mine], truths[mine], first_tenths(mine)[mine], right=right, delta=DELTA
                )
                if point is None:
                    continue
                confidence = chances.max(1).astype(np.float64)
                little_right = chances.argmax(1) == truths
                plain = lossless(
                    cascade_curve(
                        confidence[mine], little_right[mine], big_right[mine], little_macs=said.macs, big_macs=two.macs
                    )
                ).threshold
                exits, chosen = confidence >= plain, rollup.chosen(chances, point.threshold)
                by_group = exits | (chosen < root)
                level_right = np.where(exits, little_right, rollup.holds[chosen, truths])
                final = [
                    exits,
                    by_group,
                    np.where(exits, little_right, big_right),
                    np.where(by_group, little_right & (exits | (chosen < chances.shape[1])), big_right),
                    np.where(by_group, level_right, big_right),
                ]
                rows.append([float(one[~mine].mean()) for one in final])
            if rows:
                mean = np.mean(rows, axis=0)
                shares = (1 - mean[0], 1 - mean[1], mean[2], mean[3], mean[4])
                table.add_row(f"@{side}", f"{right:.0%}", *(f"{share:.1%}" for share in shares))
    return table


def main() -> None:
    """Run what is missing and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("photos"), help="folder of bundles and answers")
    parser.add_argument("--draws", type=int, default=100, help="random halves")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    console = Console(width=150)
    files = photos(options.out)
    truths = np.array([truth for _, truth in files[CALIBRATION:]], np.int64)
    two, _ = big(files, options.out, console)
    littles = {side: float_answers(side, files, options.out, console) for side in SIDES}
    chains = photo_taxonomy().classes
    grouped = np.array([bool(chains[label]) for label in imagenet_labels()])[truths]
    some = {side: Said(said.logits[grouped], said.macs) for side, said in littles.items()}
    console.print(answers_table(littles, truths, options.draws, ""))
    console.print(answers_table(some, truths[grouped], options.draws, " of classes that are in a group"))
    console.print(cloud_table(littles, two, truths, options.draws))


if __name__ == "__main__":
    main()
