from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_sdk.errors import BundleError
from edge_sdk.model.bundle import InputSpec
from edge_sdk.model.little import LittleModel
from edge_sdk.model.policy import Policy
from edge_sdk.model.wrap import wrap_network
from edge_sdk.testing import FakeRuntime
from edge_sdk.types import View

SPEC = InputSpec(16, 8, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


def test_a_network_becomes_a_bundle(tmp_path: Path) -> None:
    (tmp_path / "net.bin").write_bytes(b"weights")
    runtime = FakeRuntime()
    photo = np.full((480, 640, 3), 200, np.uint8)
    bundle = wrap_network(
        tmp_path / "mine", tmp_path / "net.bin", runtime=runtime, labels=["dark", "bright"], input=SPEC, macs=7,
        golden=photo, policy=Policy(threshold=0.6), view=View.REGION,
    )  # fmt: skip
    manifest = bundle.manifest
    assert (manifest.name, manifest.model, manifest.format, manifest.macs) == ("mine", "model.bin", "fake", 7)
    assert bundle.model_path.read_bytes() == b"weights"
    assert (bundle.policy.threshold, manifest.view) == (0.6, "region")
    with LittleModel(bundle, runtime=runtime) as model:
        assert model.predict(photo).label == "bright"


def test_a_network_that_computes_nan_is_refused(tmp_path: Path) -> None:
    (tmp_path / "net.bin").write_bytes(b"weights")
    blind = FakeRuntime(lambda pixels: (float("nan"), 0.0))
    with pytest.raises(BundleError, match=r"net\.bin: expected finite logits; got \[nan, 0\.0\]"):
        wrap_network(tmp_path / "b", tmp_path / "net.bin", runtime=blind, labels=("a", "b"), input=SPEC, macs=1)
    assert not (tmp_path / "b").exists()
