"""What calibration writes into a bundle."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edge_sdk.images.rendition import Rendition, Upload
from edge_sdk.model.big_reference import BigReference
from edge_sdk.model.bundle import Golden, InputSpec, Manifest, open_bundle, write_bundle
from edge_sdk.model.policy import Policy
from edge_sdk.workbench.calibrate import calibrate_records
from edge_sdk.workbench.calibration import Rule
from edge_sdk.workbench.records import Records, RecordsInfo, from_logits
from edge_sdk.workbench.write_calibration import write_calibration

LABELS = ("a", "b", "c")


def pair(count: int = 3000, seed: int = 0, *, hopeless: bool = False, scale: float = 1.0) -> tuple[Records, Records]:
    """A little model that knows when it is unsure, and a better big one."""
    rng = np.random.default_rng(seed)
    truths = rng.integers(0, 3, count)
    logits = rng.normal(0, 1, (count, 3)).astype(np.float32)
    logits[np.arange(count), truths] += rng.choice([0.5, 4.0], count)
    named = logits.argmax(axis=1)
    cloud = rng.normal(0, 1, (count, 3)).astype(np.float32)
    cloud[np.arange(count), truths] += 4.0
    if hopeless:  # where the little model says "a", the big one says the same
        cloud[named == 0] = logits[named == 0] * 5
    ids = [f"{index:05d}" for index in range(count)]
    little = from_logits(RecordsInfo(model="little", labels=LABELS, macs=10), ids, list(truths), logits * scale)
    sizes = list(rng.integers(9_000, 11_000, count))
    big = from_logits(RecordsInfo(model="big", labels=LABELS, macs=100), ids, list(truths), cloud, sizes)
    return little, big


def test_a_ladder_stays_as_long_as_the_big_model_does(tmp_path: Path) -> None:
    little, big = pair()
    found = calibrate_records(little, big, Rule(drop=0.0))
    golden = Golden("golden.png", (0.0, 0.0, 0.0), 0.1)
    spec = InputSpec(4, 4, (0.5,) * 3, (0.5,) * 3)
    manifest = Manifest(name="m", version="1", labels=LABELS, input=spec, macs=1, parameters=1, golden=golden)
    ladder = (Rendition(Upload(64), 900.0, 0.5), Rendition(Upload(128), 2500.0, 1.0))
    before = Policy(ladder=ladder, calibration={"ladder_big": "big", "ladder_frames": 7})
    path = tmp_path / "bundle"
    reference = BigReference(name="big", model="/w/big.safetensors", labels=LABELS)
    write_bundle(path, model=b"program", manifest=manifest, golden=np.zeros((4, 4, 3), np.uint8), policy=before)
    write_calibration(path, found, big=reference, rule=Rule(drop=0.0))
    policy = open_bundle(path).policy
    assert policy.ladder == ladder
    assert policy.big == reference
    assert (policy.calibration["ladder_frames"], policy.calibration["rule"]) == (7, "drop")
    write_calibration(path, found, big=BigReference(name="another"), rule=Rule(drop=0.0))
    policy = open_bundle(path).policy
    assert policy.ladder == () and "ladder_big" not in policy.calibration
