"""Accuracy on prepared pictures."""

import numpy as np
import pytest
import torch
from torch import nn

from edge_sdk.model.bundle import InputSpec
from edge_sdk.workbench.accuracy import accuracy_of
from edge_sdk.workbench.pixels import Pixels

SPEC = InputSpec(8, 8, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


class Brightest(nn.Module):
    """Names the brightest colour channel."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The mean of each channel."""
        return self.scale * x.mean((2, 3))


@pytest.mark.parametrize("training", [False, True])
def test_pictures_are_scaled_and_the_mode_is_restored(training: bool) -> None:
    truths = np.array([0, 1, 2, 0, 1])
    images = np.zeros((5, 16, 16, 3), np.uint8)
    images[np.arange(5), :, :, [0, 1, 2, 2, 1]] = 200  # the fourth is of another class
    network = Brightest().train(training)
    assert accuracy_of(network, Pixels(("red", "green", "blue"), [(images, truths)]), SPEC, batch=2) == 0.8
    assert network.training is training


def test_the_mean_of_several_looks_counts() -> None:
    looks = np.zeros((4, 8, 8, 3), np.uint8)
    looks[0, :, :, 0], looks[1, :, :, 1] = 40, 200  # the surer look decides, though the first is wrong
    looks[2, :, :, 0], looks[3, :, :, 2] = 200, 40
    pixels = Pixels(("red", "green", "blue"), [(looks, np.array([1, 1, 0, 0]))])
    assert accuracy_of(Brightest(), pixels, SPEC, looks=2) == 1.0
    assert accuracy_of(Brightest(), pixels, SPEC) == 0.5
