"""What calibration writes into a bundle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from record_parts import LABELS, pair

from edge_sdk.images.rendition import Rendition, Upload
from edge_sdk.model.big_reference import BigReference
from edge_sdk.model.bundle import Golden, InputSpec, Manifest, open_bundle, write_bundle
from edge_sdk.model.policy import Policy
from edge_sdk.workbench.calibrate import calibrate_records
from edge_sdk.workbench.calibration import Rule
from edge_sdk.workbench.write_calibration import write_calibration


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
