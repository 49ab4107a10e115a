from __future__ import annotations

from pathlib import Path

import numpy as np

from edge_sdk import Clock, EdgeClassifier
from edge_sdk.testing import FakeClock, FakeRuntime, write_fake_bundle


def test_a_budget_comes_back_when_its_period_has_passed(tmp_path: Path) -> None:
    clock = FakeClock()
    as_seam: Clock = clock
    bundle = write_fake_bundle(tmp_path / "fake")
    image = np.zeros((48, 64, 3), np.uint8)
    with EdgeClassifier(
        bundle, state_dir=tmp_path / "s", runtime=FakeRuntime(), clock=as_seam, compute_budget="1000MAC/h"
    ) as edge:
        assert edge.classify(image).label == "dark"
        assert edge.classify(image).label is None
        clock.set_wall_s(clock.wall_s() + 1e6)
        assert edge.classify(image).label is None
        clock.pass_s(3700)
        assert edge.classify(image).label == "dark"


def test_a_reboot_is_another_boot() -> None:
    clock = FakeClock(100.0)
    clock.pass_s(5)
    before = clock.boot_id()
    clock.reboot()
    assert (clock.wall_s(), clock.steady_s()) == (105.0, 0.0)
    assert clock.boot_id() != before
