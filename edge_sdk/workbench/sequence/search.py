"""Choosing exits and thresholds of a sequence: DyCE's search on calibration records, evaluated on test records."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import numpy as np

from edge_sdk.networks.sequence import SequenceModel
from edge_sdk.workbench.cascade.chain import UNUSED, Advantage, Outcome, Stage, advantage, each_frame, evaluate
from edge_sdk.workbench.cascade.confidence import max_softmax, softmax
from edge_sdk.workbench.cascade.curve import Point, cascade_curve, lossless
from edge_sdk.workbench.cascade.paired import Difference, paired_difference
from edge_sdk.workbench.cascade.threshold_search import search
from edge_sdk.workbench.sequence.train import Features, exit_logits

_CANDIDATES = 128
_WEIGHTS = 1 - np.geomspace(1e-3, 0.7, 24)


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """The result of a search for one tolerated loss.

    Attributes:
        drop: tolerated loss against the big model on the calibration records.
        chosen: the sequence on the calibration records; its first threshold is the device's.
        evaluated: the same on the test records.
        single: the plain cascade (exit on the device or the whole big model), chosen by the same rule, on the test
            records.
        advantage: of the sequence over a single exit of the same cost, on the test records.
        against_big: accuracy of the sequence less that of the big model alone, on the test records.
        big_accuracy: on the test records.
        big_macs: of the big model.
        weight: lambda of the search.
    """

    drop: float
    chosen: Outcome
    evaluated: Outcome
    single: Point
    advantage: Advantage
    against_big: Difference
    big_accuracy: float
    big_macs: float
    weight: float


def stages(model: SequenceModel, features: Features, little_macs: float) -> list[Stage]:
    """The device, every exit and the big model's head as stages of a chain.

    Args:
        model: the sequence, with its temperatures.
        features: of the records.
        little_macs: of the device's model.
    """
    info = model.info
    little = features.little[:, model.order]
    found = [Stage(little.max(1), little.argmax(1) == features.truths, little_macs, 0.0, "device")]
    logits = exit_logits(model, features)
    for index in range(len(info.modules)):
        answer = logits[:, index]
        found.append(
            Stage(
                max_softmax(softmax(answer, info.temperatures[index])),
                answer.argmax(1) == features.truths,
                info.exit_macs[index],
                info.way_macs[index],
                info.modules[index],
            )
        )
    right = features.big.argmax(1) == features.truths
    found.append(Stage(np.ones(len(features)), right, 0.0, info.way_macs[-1], "big model"))
    return found


def find_exits(
    model: SequenceModel,
    calibration: Features,
    test: Features,
    *,
    little_macs: float,
    drop: float = 0.0,
    method: str = "circular",
    conservative: float | None = None,
) -> Found:
    """The cheapest sequence that loses at most `drop` on the calibration records, over a range of lambda.

    Args:
        model: with fitted temperatures.
        calibration: records to search on.
        test: records to evaluate on.
        little_macs: of the device's model.
        drop: tolerated loss of accuracy.
        method: see `edge_sdk.workbench.cascade.threshold_search.search`.
        conservative: as there.
    """
    here, there = stages(model, calibration, little_macs), stages(model, test, little_macs)
    wanted = float(here[-1].right.mean()) - drop - 1e-9
    whole = [UNUSED] * (len(here) - 1)
    best, weight = evaluate(here, whole), 1.0
    for lam in _WEIGHTS:
        found = search(here, float(lam), method=method, conservative=conservative, candidates=_CANDIDATES)
        if found.accuracy >= wanted and found.macs < best.macs:
            best, weight = found, float(lam)
    big_macs = float(sum(model.info.way_macs))
    plain, evaluated = (
        cascade_curve(some[0].confidence, some[0].right, some[-1].right, little_macs=little_macs, big_macs=big_macs)
        for some in (here, there)
    )
    single = lossless(plain, drop=drop)
    return Found(
        drop,
        best,
        evaluate(there, best.thresholds),
        evaluated.at(single.threshold),
        advantage(there, best.thresholds),
        paired_difference(each_frame(there, best.thresholds)[0], there[-1].right),
        evaluated.big_accuracy,
        big_macs,
        weight,
    )


def with_exits(model: SequenceModel, found: Found) -> SequenceModel:
    """The sequence with the thresholds that a search found; the first of them is the device's own."""
    info = msgspec.structs.replace(
        model.info,
        thresholds=found.chosen.thresholds[1:],
        facts={
            **model.info.facts,
            "device_threshold": min(found.chosen.thresholds[0], 2.0),
            "drop": found.drop,
            "lambda": round(found.weight, 5),
            "accuracy": round(found.evaluated.accuracy, 4),
            "big_accuracy": round(found.big_accuracy, 4),
            "macs": round(found.evaluated.macs),
        },
    )
    return SequenceModel(model.big, model.exits, info)
