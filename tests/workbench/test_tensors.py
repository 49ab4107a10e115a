"""Pictures as a network's input."""

import numpy as np
import pytest
import torch

from edge_sdk.model.bundle import InputSpec
from edge_sdk.workbench.tensors import scaled, to_tensor

SPEC = InputSpec(4, 2, (0.5, 0.25, 0.0), (0.5, 0.25, 1.0))


def test_pixels_are_scaled_shifted_and_turned() -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 2, 4, 3), np.uint8)
    tensor = to_tensor(images, SPEC)
    assert tensor.shape == (3, 3, 2, 4) and tensor.dtype == torch.float32
    wanted = (images / 255 - np.array(SPEC.mean)) / np.array(SPEC.std)
    assert tensor.numpy() == pytest.approx(wanted.transpose(0, 3, 1, 2), abs=1e-5)


def test_pictures_are_brought_to_the_networks_size() -> None:
    images = np.full((2, 20, 40, 3), 77, np.uint8)
    assert scaled(images, SPEC).shape == (2, 2, 4, 3) and (scaled(images, SPEC) == 77).all()
    same = np.zeros((1, 2, 4, 3), np.uint8)
    assert scaled(same, SPEC) is same
