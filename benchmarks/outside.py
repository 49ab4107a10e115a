"""Frames of other things: does the energy of the little model's logits tell them from the camera's?

    EDGE_SDK_DATA=DATA python benchmarks/outside.py [--frames 2000]

The shipped little model, in the device's runtime. Its rule is made of frames of the simulated camera, measured on
frames of other seeds, and on photos of other things: 500 of ImageNet (299x299, some show animals, people or vehicles),
and 21 real camera-trap photos. Scores: the energy; the calibrated confidence; the margin between the two likeliest
classes.
"""

from __future__ import annotations

import argparse
import os
import tarfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from edge_sdk import LittleModel, open_camera
from edge_sdk.images.read import decode_image, read_image
from edge_sdk.model.outside import OutsideRule
from edge_sdk.model.policy import ExitPolicy
from edge_sdk.types import Image, Prediction

Floats = NDArray[np.float64]
SHARE = 0.01
FEWEST = 50


def simulated(seed: int, frames: int) -> list[Image]:
    """Frames of many seeds, 50 of each."""
    return [
        frame.image
        for number in range(frames // 50)
        for frame in open_camera(f"simulated://trailcam?seed={seed + number}&frames=50")
    ]


def scores(said: list[Prediction]) -> dict[str, Floats]:
    """By name; low: outside."""
    two = np.sort(np.array([one.probabilities for one in said]), axis=1)[:, -2:].astype(np.float64)
    energy = np.array([one.energy for one in said], np.float64)
    return {"energy": energy, "confidence": two[:, 1], "margin": two[:, 1] - two[:, 0]}


def auroc(inside: Floats, outside: Floats) -> float:
    """Chance that a frame of the camera scores higher than one of other things."""
    return float(stats.mannwhitneyu(inside, outside).statistic) / (len(inside) * len(outside))


def rule_of(said: list[Prediction], exits: NDArray[np.bool_], classes: int) -> OutsideRule:
    """As `edge_sdk.workbench.outside_rule`, from predictions."""
    energy, top = np.array([one.energy for one in said], np.float64), np.array([one.top for one in said])
    overall, least = float(np.quantile(energy[exits], SHARE)), []
    for number in range(classes):
        mine = energy[exits & (top == number)]
        least.append(float(np.quantile(mine, SHARE)) if len(mine) >= FEWEST else overall)
    return OutsideRule(least=tuple(least), share=SHARE)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=2_000)
    frames = parser.parse_args().frames
    data = Path(os.environ["EDGE_SDK_DATA"])
    with tarfile.open(data / "imagenet-photos.tar") as photos:
        names = [one for one in photos.getmembers() if one.name.endswith(".jpg")]
        others = {"ImageNet": [decode_image(photos.extractfile(one).read()).image for one in names]}  # type: ignore[union-attr]
    others["camera traps"] = [read_image(path).image for path in sorted((data / "trap_photos").rglob("*.jpg"))]
    with LittleModel("trailcam") as model:
        made, inside = ([model.predict(one) for one in simulated(seed, frames)] for seed in (70_000, 80_000))
        outside = {name: [model.predict(one) for one in pictures] for name, pictures in others.items()}
        policy = ExitPolicy(model.bundle.policy)
    exits = {name: np.array([policy.decide(one).exits for one in said]) for name, said in outside.items()}
    inside_exits = np.array([policy.decide(one).exits for one in inside])
    print(f"{len(inside)} frames of the camera, {inside_exits.mean():.1%} exit; the rule is of as many others\n")
    print("| outside | score | AUROC | caught at 1% false | of those that exit: AUROC | caught at 1% false |")
    print("|---|---|---|---|---|---|")
    own = scores(inside)
    for name, said in outside.items():
        for score, values in scores(said).items():
            cells = []
            for mine, theirs in (
                (own[score], values),
                (own[score][inside_exits], values[exits[name]]),
            ):
                caught = float((theirs < np.quantile(mine, SHARE)).mean())
                cells += [f"{auroc(mine, theirs):.3f}", f"{caught:.1%}"]
            print(f"| {name} ({len(said)}) | {score} | {' | '.join(cells)} |")
    made_exits = np.array([policy.decide(one).exits for one in made])
    rule = rule_of(made, made_exits, len(model.labels))
    false = np.array([rule.holds(one) for one in inside])
    print("\n| frames | exit without the rule | exit with it | share of the exits that the rule sends |")
    print("|---|---|---|---|")
    rows = [("camera, other seeds", inside_exits, false)]
    rows += [(name, exits[name], np.array([rule.holds(one) for one in said])) for name, said in outside.items()]
    for name, sure, held in rows:
        print(f"| {name} | {sure.mean():.1%} | {(sure & ~held).mean():.1%} | {held[sure].mean():.1%} |")


if __name__ == "__main__":
    main()
