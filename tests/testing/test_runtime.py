from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_sdk import BundleError, EdgeClassifier, LittleModel, Runtime
from edge_sdk.testing import FakeRuntime, write_fake_bundle


def test_a_program_runs_without_a_network(tmp_path: Path) -> None:
    runtime = FakeRuntime()
    as_seam: Runtime = runtime
    with EdgeClassifier(write_fake_bundle(tmp_path / "fake"), state_dir=tmp_path / "s", runtime=as_seam) as edge:
        assert edge.classify(np.full((480, 640, 3), 250, np.uint8)).label == "bright"
        assert edge.classify(np.zeros((480, 640, 3), np.uint8)).label == "dark"
    assert [pixels.shape for pixels in runtime.seen[1:]] == [(32, 32, 3)] * 2  # the first is the golden picture


def test_its_bundle_needs_its_runtime(tmp_path: Path) -> None:
    bundle = write_fake_bundle(tmp_path / "fake")
    with pytest.raises(
        BundleError, match=r"expected a bundle of format 'executorch'.*got 'fake', which needs a runtime"
    ):
        LittleModel(bundle)
    with pytest.raises(BundleError, match="expected a bundle of format 'fake'"):
        LittleModel("trailcam", runtime=FakeRuntime())


def test_a_runtime_that_computes_something_else_is_found_out(tmp_path: Path) -> None:
    bundle = write_fake_bundle(tmp_path / "fake")
    with pytest.raises(BundleError, match="computes wrong results"):
        LittleModel(bundle, runtime=FakeRuntime(lambda pixels: (0.0, 0.0)))
