"""Small grey pictures and their brightness."""

from __future__ import annotations

import numpy as np
import pytest

from edge_sdk.camera.small_picture import brightness_factor, shrink


def test_the_longer_side_is_as_long_as_asked_and_nothing_is_enlarged() -> None:
    assert shrink(np.zeros((300, 600, 3), np.uint8), 160).shape == (80, 160)
    assert shrink(np.zeros((30, 60, 3), np.uint8), 160).shape == (30, 60)
    assert shrink(np.zeros((1, 9000, 3), np.uint8), 160).shape == (1, 160)


@pytest.mark.parametrize(
    ("factor", "found"), [(1.0, 1.0), (1.3, 1.3), (0.7, 0.7), (1.005, 1.0), (2.4, 1.0), (0.3, 1.0)]
)
def test_a_common_factor_is_found_though_a_part_is_covered(factor: float, found: float) -> None:
    before = np.random.default_rng(0).integers(60, 100, (96, 128)).astype(np.float32)
    now = np.clip(before * factor, 0, 255).astype(np.uint8)
    now[20:60, 30:80] = 255
    assert brightness_factor(now, before) == pytest.approx(found, rel=0.03)
