"""The centre of a picture."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.images.geometry import centre_crop
from edge_sdk.model.bundle import InputSpec
from edge_sdk.model.inputs import prepare


@given(st.integers(1, 90), st.integers(1, 90), st.integers(1, 50), st.integers(1, 50))
def test_the_cut_is_centred_and_the_largest(width: int, height: int, across: int, down: int) -> None:
    image = np.arange(width * height * 3, dtype=np.uint32).reshape(height, width, 3).astype(np.uint8)
    cut = centre_crop(image, across, down)
    cut_height, cut_width = cut.shape[:2]
    ratio = min(width / across, height / down)
    assert abs(cut_width - max(1, across * ratio)) <= 0.5
    assert abs(cut_height - max(1, down * ratio)) <= 0.5
    assert cut_width == width or cut_height == height
    left, top = (width - cut_width) // 2, (height - cut_height) // 2
    assert np.array_equal(cut, image[top : top + cut_height, left : left + cut_width])


def test_a_model_that_crops_sees_the_same_of_a_picture_that_was_cut_before() -> None:
    image = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    spec = InputSpec(224, 224, (0.5,) * 3, (0.5,) * 3, resize="crop")
    assert np.array_equal(prepare(image, spec), prepare(centre_crop(image, 224, 224), spec))
