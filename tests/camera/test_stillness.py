from __future__ import annotations

import numpy as np

from edge_sdk.camera.stillness import Stillness
from edge_sdk.types import Image


def picture(value: int, odd: int = 0) -> Image:
    image = np.full((40, 40, 3), value, np.uint8)
    image[3, 3] = odd  # between the pixels that are compared first
    return image


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_a_picture_that_stays_is_frozen_and_its_length_comes_when_it_changes() -> None:
    clock = Clock()
    still = Stillness(10, clock=clock)
    for clock.now_s in range(10):
        assert still.look(picture(7)) is None
        assert not still.is_frozen
    clock.now_s = 10
    assert still.look(picture(7)) is None
    assert (still.is_frozen, still.is_due(), still.is_due(), still.pictures) == (True, True, False, 11)
    clock.now_s = 25
    still.look(picture(7))
    assert (still.is_due(), still.length_s()) == (True, 25)
    clock.now_s = 30
    assert still.look(picture(8)) == 30
    assert (still.is_frozen, still.pictures) == (False, 1)


def test_the_pauses_between_two_words_double_up_to_ten_minutes() -> None:
    clock = Clock()
    still = Stillness(10, clock=clock)
    told = []
    for clock.now_s in range(3000):
        still.look(picture(7))
        if still.is_due():
            told.append(clock.now_s)
    assert told == [10, 20, 40, 80, 160, 320, 640, 1240, 1840, 2440]


def test_one_pixel_that_changes_is_enough() -> None:
    clock = Clock()
    still = Stillness(10, clock=clock)
    for clock.now_s in range(60):
        still.look(picture(7, odd=int(clock.now_s) % 200))
        assert not still.is_frozen


def test_two_pictures_far_apart_are_no_freeze_and_another_size_is_another_picture() -> None:
    clock = Clock()
    still = Stillness(10, clock=clock)
    still.look(picture(7))
    clock.now_s = 60.0
    still.look(picture(7))
    assert not still.is_frozen
    still.look(picture(7)[:20])
    assert still.pictures == 1


def test_it_can_be_left_out() -> None:
    clock = Clock()
    still = Stillness(None, clock=clock)
    for clock.now_s in range(100):
        still.look(picture(7))
    assert not still.is_frozen
