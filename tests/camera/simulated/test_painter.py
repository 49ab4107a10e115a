"""Projection and painting of subjects."""

import pytest

from edge_sdk.camera.simulated.mammals import deer
from edge_sdk.camera.simulated.painter import Place, View, paint
from edge_sdk.camera.simulated.pose import Pose
from edge_sdk.camera.simulated.texture import generator

VIEW = View(640, 480, 600.0, 150.0, 1.0)


def test_the_ground_rises_to_the_horizon() -> None:
    assert VIEW.row(3.0) > VIEW.row(30.0) > VIEW.horizon_px
    assert VIEW.row(1e9) == pytest.approx(VIEW.horizon_px)
    assert VIEW.column(0.0, 5.0) == 320 and VIEW.column(1.0, 5.0) == 440


def test_a_subject_stands_on_its_place() -> None:
    sprite = paint(deer(Pose("stand", 0.0), generator(1)), VIEW, Place(0.0, 8.0, 0.0))
    assert sprite is not None and sprite.colour.shape[:2] == sprite.alpha.shape
    rows = sprite.alpha.max(axis=1).nonzero()[0]
    assert sprite.y + rows[-1] == pytest.approx(VIEW.row(8.0), abs=12)
    columns = sprite.alpha.max(axis=0).nonzero()[0]
    assert sprite.x + columns[0] < 320 < sprite.x + columns[-1]


def test_what_lies_outside_the_picture_is_not_painted() -> None:
    assert paint(deer(Pose("stand", 0.0), generator(1)), VIEW, Place(60.0, 8.0, 0.0)) is None
