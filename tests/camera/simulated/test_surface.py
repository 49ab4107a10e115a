"""Shadows and spots of light on a picture."""

import numpy as np

from edge_sdk.camera.simulated.painter import View
from edge_sdk.camera.simulated.surface import darken, inside, shine

VIEW = View(100, 80, 100.0, 30.0, 1.0)


def test_the_part_of_a_patch_that_lies_in_the_picture() -> None:
    assert inside(10, 20, (30, 40), VIEW) == (10, 20, 50, 50)
    assert inside(-10, 70, (30, 40), VIEW) == (0, 70, 30, 80)
    assert inside(100, 0, (10, 10), VIEW) is None


def test_a_shadow_darkens_its_patch_and_can_be_taken_back() -> None:
    image = np.full((80, 100, 3), 200, np.uint8)
    region, before = darken(image, np.full((10, 20), 128, np.uint8), 30, 40)
    assert (image[40:50, 30:50] < 110).all() and (image == 200).sum() == image.size - 600
    image[region] = before
    assert (image == 200).all()


def test_a_light_shines_where_it_is_and_nowhere_else() -> None:
    image = np.zeros((80, 100, 3), np.uint8)
    shine(image, 50, 40, 4.0, 1.0, (250, 240, 200))
    assert image[40, 50].min() > 150 and image[40, 80].max() == 0
    shine(image, 500, 400, 4.0, 1.0, (250, 240, 200))  # beyond the edge: nothing
