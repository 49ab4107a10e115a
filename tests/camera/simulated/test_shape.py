"""Limbs and other shapes."""

import numpy as np
import pytest

from edge_sdk.camera.simulated.shape import knee, limb


def test_limb_takes_one_colour_or_one_per_joint() -> None:
    one = limb([(0, 0, 0), (0, 1, 0)], (0.1, 0.1), (1.0, 2.0, 3.0))
    two = limb([(0, 0, 0), (0, 1, 0)], (0.1, 0.1), [(1.0, 2.0, 3.0), (1.0, 2.0, 3.0)])
    assert (one.colour == two.colour).all()


def test_knee_keeps_the_lengths_of_both_bones() -> None:
    middle = knee((0.0, 1.0), (0.2, 0.1), 0.6, 0.5, 1.0)
    assert np.hypot(middle[0], middle[1] - 1.0) == pytest.approx(0.6)
    assert np.hypot(middle[0] - 0.2, middle[1] - 0.1) == pytest.approx(0.5)
