"""Pictures as a network's input."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from edge_sdk.images.scale import scale
from edge_sdk.model.inputs import InputSpec


def to_tensor(images: NDArray[np.uint8], spec: InputSpec, device: torch.device | str = "cpu") -> torch.Tensor:
    """`uint8 (N, H, W, 3)` to the network's `float32 (N, 3, H, W)`, channels-last: `(pixel / 255 - mean) / std`."""
    tensor = torch.from_numpy(images).to(device).permute(0, 3, 1, 2).float()
    mean = torch.tensor(spec.mean, device=device).view(1, 3, 1, 1)
    std = torch.tensor(spec.std, device=device).view(1, 3, 1, 1)
    return (tensor - 255 * mean) / (255 * std)


def scaled(images: NDArray[np.uint8], spec: InputSpec) -> NDArray[np.uint8]:
    """`uint8 (N, H, W, 3)` at the network's size."""
    if images.shape[1:3] == (spec.height, spec.width):
        return images
    return np.stack([scale(image, spec.width, spec.height) for image in images])
