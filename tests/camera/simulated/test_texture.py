"""Noise tiles and generators."""

import numpy as np

from edge_sdk.camera.simulated.texture import crop, fractal, generator, grain, streaks


def test_a_purpose_has_its_own_generator() -> None:
    assert generator(1, 2).random() == generator(1, 2).random() != generator(2, 1).random()


def test_tiles_are_centred_and_wrap() -> None:
    tile = fractal(8, 3, 1, 5)
    assert tile.shape == (1024, 1024) and tile.dtype == np.uint8 and abs(float(tile.mean()) - 128) < 8
    seam = np.abs(tile[:, 0].astype(int) - tile[:, -1]).mean()
    assert seam < 3 * np.abs(np.diff(tile.astype(int), axis=1)).mean() + 1


def test_windows_have_the_size_asked_for() -> None:
    rng = generator(3)
    for width, height in ((40, 30), (1500, 200), (2000, 1500)):
        assert crop(fractal(8, 3, 1, 5), width, height, rng).shape == (height, width)


def test_sensor_noise_is_grey_in_infrared() -> None:
    assert np.array_equal(grain(False)[..., 0], grain(False)[..., 2])
    assert not np.array_equal(grain(True)[..., 0], grain(True)[..., 2])
    assert abs(float(grain(True).std()) - 32) < 3


def test_rain_and_snow_leave_most_of_the_picture_free() -> None:
    for kind in ("rain", "snow"):
        assert 0.01 < (streaks(kind) > 20).mean() < 0.5
