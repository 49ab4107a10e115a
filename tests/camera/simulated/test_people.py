"""The subjects of `people`: sizes, poses, and the same ones for the same seed."""

from __future__ import annotations

import pytest
from solids import extent_m, same

from edge_sdk.camera.simulated.arrivals import HABITS
from edge_sdk.camera.simulated.pose import Pose
from edge_sdk.camera.simulated.texture import generator


@pytest.mark.parametrize("kind", ("person",))
def test_a_subject_has_its_size(kind: str) -> None:
    for seed in range(5):
        length, height, width = extent_m(HABITS[kind].draw(Pose("stand", 0.0), generator(seed)))
        assert max(length, height) == pytest.approx(HABITS[kind].length_m, rel=0.4)
        assert 0 < width < max(length, height)


@pytest.mark.parametrize("kind", ("person",))
def test_a_seed_gives_a_subject_and_a_phase_moves_it(kind: str) -> None:
    draw = HABITS[kind].draw
    assert same(draw(Pose("walk", 0.1), generator(4)), draw(Pose("walk", 0.1), generator(4)))
    assert not same(draw(Pose("walk", 0.1), generator(4)), draw(Pose("walk", 0.6), generator(4)))
