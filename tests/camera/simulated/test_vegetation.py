"""Plants write colour and distance."""

import numpy as np

from edge_sdk.camera.simulated.painter import View
from edge_sdk.camera.simulated.texture import generator
from edge_sdk.camera.simulated.vegetation import Canvas, bush, shade

VIEW = View(160, 120, 150.0, 40.0, 1.0)


def blank() -> Canvas:
    return Canvas(VIEW, np.zeros((120, 160, 3), np.uint8), np.full((120, 160), 500.0, np.float32))


def test_polygons_have_one_colour_and_one_distance() -> None:
    canvas = blank()
    canvas.polygons([np.array([[20.0, 20], [60, 20], [60, 60], [20, 60]])], (300.0, 50.0, -4.0), 7.0)
    assert tuple(canvas.colour[40, 40]) == (255, 50, 0) and canvas.depth[40, 40] == 7.0
    assert canvas.depth[100, 100] == 500.0


def test_a_bush_stands_at_its_distance() -> None:
    canvas = blank()
    bush(canvas, generator(1), 0.0, 6.0, 1.0, (80.0, 110.0, 50.0))
    near = canvas.depth < 500
    assert near.sum() > 100 and abs(float(canvas.depth[near].mean()) - 6.0) < 1.0
    assert abs(float(near.nonzero()[1].mean()) - 80) < 15  # in the middle


def test_colours_are_shaded_and_warmed() -> None:
    assert shade((100.0, 100.0, 100.0), 0.5) == (50.0, 50.0, 50.0)
    red, green, blue = shade((100.0, 100.0, 100.0), 1.0, 0.1)
    assert red > green > blue
