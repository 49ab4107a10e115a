"""A bundle in the device's runtime, compared with what torch said."""

from __future__ import annotations

import numpy as np
import pytest

from edge_sdk.errors import WorkbenchError
from edge_sdk.model.bundle import open_bundle, read_golden
from edge_sdk.model.inputs import prepare
from edge_sdk.workbench.device_run import run_on_device


def test_logits_time_and_golden_are_the_runtimes() -> None:
    bundle = open_bundle("trailcam")
    spec, classes = bundle.manifest.input, len(bundle.manifest.labels)
    golden = read_golden(bundle)
    pixels = np.stack([prepare(golden, spec)] * 3)
    told: list[tuple[int, int]] = []
    expected = np.tile(np.array(bundle.manifest.golden.logits, np.float32), (3, 1))
    run = run_on_device(bundle, pixels, expected, expected.argmax(1), lambda *step: told.append(step))
    assert run.logits.shape == (3, classes) and run.latency_ms > 0 and told[-1] == (3, 3)
    assert np.abs(run.golden - expected[0]).max() <= bundle.manifest.golden.tolerance


def test_answers_that_are_others_are_refused() -> None:
    bundle = open_bundle("trailcam")
    spec = bundle.manifest.input
    pixels = np.stack([prepare(read_golden(bundle), spec)] * 3)
    wrong = -np.tile(np.array(bundle.manifest.golden.logits, np.float32), (3, 1))
    with pytest.raises(WorkbenchError, match=r"it does on 0\.0%"):
        run_on_device(bundle, pixels, wrong, wrong.argmax(1), lambda *_: None)
