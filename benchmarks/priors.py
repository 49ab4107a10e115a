"""Priors of place and season on a real network's answers: what right ones bring, and what wrong ones cost.

    python benchmarks/priors.py [--out photos] [--draws 4] [--frames 1500]

Needs what `benchmarks/photos.py` needs, and keeps what the models said in OUT: Lite0 at 224, 160 and 128 pixels and
Lite2 at 260, in float32, on 400 photos. The world is made up: of the classes, each lives in a part of six regions
(`--lives`) and, half of them, in five months in a row. Frames are drawn for one region: a month, a class that is there
by its abundance (log-normal), a photo of that class. Priors are made by `edge-sdk priors make`'s code of 5,000 other
observations of all regions. The photos of each class are halved: on one half strength, temperature and the priors'
worth are chosen, frames of the other half are judged. Of a class with one photo, that photo stands in both halves, so
single answers repeat: the figures are of this simulation, and say nothing of real distributions of species.

Wrong priors are the same table read six months later, or for another region: with the strength that right ones got
(nobody noticed), and with the one that calibration on such frames gives.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from float_answers import float_answers
from numpy.typing import NDArray
from photos import CALIBRATION, SIDES, big, photos
from rich.console import Console
from rich.table import Table

from edge_sdk.model.priors import Priors
from edge_sdk.networks.labels import imagenet_labels
from edge_sdk.workbench.calibrate_priors import log_ratios, with_priors
from edge_sdk.workbench.make_priors import make_priors
from edge_sdk.workbench.observations import Observation
from edge_sdk.workbench.records import Records, RecordsInfo, from_logits
from edge_sdk.workbench.taken import Taken

REGIONS = tuple(f"region {number}" for number in range(6))
LABELS = tuple(imagenet_labels())
OBSERVATIONS = 5000
CHOOSING = 1000
SENT = 0.2


@dataclass(frozen=True, slots=True, eq=False)
class World:
    """Who lives where and when: `float64 (regions, months, classes)`, each region's month sums to 1."""

    expected: NDArray[np.float64]

    def frames(self, count: int, random: np.random.Generator, region: int | None = None) -> NDArray[np.int64]:
        """Region, month (1 to 12) and class of frames: `int64 (count, 3)`."""
        regions = np.full(count, region) if region is not None else random.integers(0, len(REGIONS), count)
        months = random.integers(0, 12, count)
        totals = self.expected[regions, months].cumsum(axis=1)
        classes = (totals < random.random((count, 1)) * totals[:, -1:]).sum(axis=1)
        return np.stack([regions, months + 1, classes], axis=1)


def make_world(classes: NDArray[np.int64], lives: float, random: np.random.Generator) -> World:
    """A world of the classes that have photos."""
    expected = np.zeros((len(REGIONS), 12, len(LABELS)))
    for label in classes.tolist():
        where = random.random(len(REGIONS)) < lives
        where[random.integers(len(REGIONS))] = True  # somewhere
        when = np.ones(12)
        if random.random() < 0.5:
            when[:] = 0.0
            when[(random.integers(12) + np.arange(5)) % 12] = 1.0
        expected[:, :, label] = np.exp(random.normal()) * np.outer(where, when)
    return World(expected / expected.sum(axis=2, keepdims=True))


def table_of(world: World, random: np.random.Generator) -> Priors:
    """Priors as they are made of observations."""
    seen = world.frames(OBSERVATIONS, random)
    return make_priors(
        Observation(LABELS[label], month, None, REGIONS[region]) for region, month, label in seen.tolist()
    ).table


def records(
    logits: NDArray[np.float32], frames: NDArray[np.int64], photos_of: dict[int, NDArray[np.intp]], seed: int
) -> Records:
    """What a model says of a photo of each frame's class; both models see the same photos by the seed."""
    random = np.random.default_rng(seed)
    rows = np.array([random.choice(photos_of[label]) for label in frames[:, 2].tolist()])
    ids = [str(number) for number in range(len(rows))]
    return from_logits(RecordsInfo(model="m", labels=LABELS), ids, frames[:, 2].tolist(), logits[rows])


def taken_of(frames: NDArray[np.int64], *, months: int = 0, regions: int = 0) -> Taken:
    """When and where the frames were taken, as the device believes it."""
    wrong = (frames[:, 0] + regions) % len(REGIONS)
    return Taken((frames[:, 1] - 1 + months) % 12 + 1, tuple(REGIONS[one] for one in wrong.tolist()))


def accuracy(said: Records, table: Priors, taken: Taken, strength: float, floor: float) -> float:
    """Share that is right with the priors at a strength."""
    ratios = log_ratios(table, LABELS, taken, floor)
    return float(((said.logits + strength * ratios).argmax(axis=1) == said.truths).mean())


def cascade(little: Records, chances: NDArray[np.float32], big_right: NDArray[np.bool_]) -> float:
    """Accuracy of the cascade that sends the least sure fifth of the frames."""
    right = chances.argmax(axis=1) == little.truths
    surest = np.argsort(-chances.max(axis=1))
    exits = round((1 - SENT) * len(surest))
    return float(np.append(right[surest[:exits]], big_right[surest[exits:]]).mean())


def draw(
    one: NDArray[np.float32], two: NDArray[np.float32], truths: NDArray[np.int64], lives: float, frames: int, seed: int
) -> dict[str, float]:
    """One world: what is right without and with priors, right and wrong ones."""
    random = np.random.default_rng(seed)
    choosing, judging = {}, {}
    for label in np.unique(truths).tolist():
        mine = random.permutation(np.flatnonzero(truths == label))
        choosing[label], judging[label] = mine[: (len(mine) + 1) // 2], mine[len(mine) // 2 :]
    world = make_world(np.unique(truths), lives, random)
    table, region = table_of(world, random), int(random.integers(len(REGIONS)))
    first, then = world.frames(CHOOSING, random, region), world.frames(frames, random, region)
    chosen = records(one, first, choosing, seed), records(two, first, choosing, seed)
    placed = with_priors(*chosen, table, taken_of(first))
    little, big = (records(logits, then, judging, seed) for logits in (one, two))
    temperature, floor = chosen[0].fit_temperature(), placed.rule.floor
    with_temperature = placed.little.fit_temperature()
    strength = placed.rule.strength * with_temperature  # of logits that no temperature divides

    def at(months: int = 0, regions: int = 0) -> float:
        return accuracy(little, table, taken_of(then, months=months, regions=regions), strength, floor)

    def again(months: int = 0, regions: int = 0) -> tuple[float, float]:
        moved = with_priors(*chosen, table, taken_of(first, months=months, regions=regions))
        k = moved.rule.strength * moved.little.fit_temperature()
        taken = taken_of(then, months=months, regions=regions)
        return moved.rule.strength, accuracy(little, table, taken, k, floor)

    right = taken_of(then)
    ratios = log_ratios(table, LABELS, right, floor)
    placed_chances = little.calibrated(with_temperature) * np.exp(placed.rule.strength * ratios)
    placed_chances /= placed_chances.sum(axis=1, keepdims=True)
    placed_big = (big.logits + placed.rule.cloud * ratios).argmax(axis=1) == big.truths
    late, away = again(months=6), again(regions=1)
    return {
        "strength": placed.rule.strength,
        "without": little.accuracy,
        "with": at(),
        "six months late": at(months=6),
        "another region": at(regions=1),
        "late, calibrated": late[1],
        "strength when late": late[0],
        "elsewhere, calibrated": away[1],
        "strength elsewhere": away[0],
        "big without": big.accuracy,
        "big with": float(placed_big.mean()),
        "cascade without": cascade(little, little.calibrated(temperature), big.right),
        "cascade with": cascade(little, placed_chances, placed_big),
    }


def main() -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("photos"), help="folder of bundles and answers")
    parser.add_argument("--draws", type=int, default=4, help="worlds")
    parser.add_argument("--frames", type=int, default=1500, help="frames that are judged in each")
    parser.add_argument(
        "--lives", type=float, nargs="+", default=[0.2, 0.5], help="part of the regions a class lives in"
    )
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    console = Console(width=150)
    files = photos(options.out)
    truths = np.array([truth for _, truth in files[CALIBRATION:]], np.int64)
    two = big(files, options.out, console)[0].logits
    columns: dict[str, list[dict[str, float]]] = {}
    for side in SIDES:
        one = float_answers(side, files, options.out, console).logits
        for lives in options.lives:
            found = [draw(one, two, truths, lives, options.frames, seed) for seed in range(options.draws)]
            columns[f"@{side}, {lives:g}"] = found
    table = Table(title=f"{options.draws} worlds, means", title_justify="left")
    table.add_column("right")
    for name in columns:
        table.add_column(name, justify="right")
    for row in next(iter(columns.values()))[0]:
        means = [np.mean([one[row] for one in found]) for found in columns.values()]
        table.add_row(row, *(f"{mean:.2f}" if "strength" in row else f"{mean:.1%}" for mean in means))
    console.print(table)


if __name__ == "__main__":
    main()
