"""Bundles are timed in turns and judged in the device's runtime."""

from pathlib import Path

import numpy as np
from tiny_network import picture, write_tiny_bundle

from edge_sdk.model.little import LittleModel
from edge_sdk.workbench.specialize.bundles import bundle_accuracy, bundle_logits, packed_bytes, time_bundles
from edge_sdk.workbench.specialize.samples import Samples


def test_a_bundle_is_timed_run_and_packed(tmp_path: Path) -> None:
    bundle = write_tiny_bundle(tmp_path / "tiny")
    images = np.stack([picture(seed) for seed in range(5)])
    with LittleModel(bundle) as model:
        wanted = np.stack([model.logits(image) for image in images])
    samples = Samples(images, wanted.argmax(1), bundle.manifest.labels)
    assert np.array_equal(bundle_logits(bundle, samples), wanted)
    assert bundle_accuracy(bundle, samples) == 1.0
    wrong = Samples(images, (wanted.argmax(1) + 1) % 3, bundle.manifest.labels)
    assert bundle_accuracy(bundle, wrong) == 0.0
    assert 0 < packed_bytes(bundle) < bundle.model_path.stat().st_size
    times = time_bundles({"one": bundle, "again": bundle})
    assert set(times) == {"one", "again"} and min(times.values()) > 0
