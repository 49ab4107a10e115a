"""Files of weights as other programs write them, for tests."""

from __future__ import annotations

import torch
from torch import nn


class Small(nn.Module):
    """A network of a few layers with batch normalisation, whose statistics are not those of the beginning."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, bias=False)
        self.norm = nn.BatchNorm2d(4)
        self.body = nn.Sequential(nn.Conv2d(4, 6, 1), nn.BatchNorm2d(6), nn.ReLU())
        self.head = nn.Linear(6, classes)


class SmallByOtherNames(nn.Module):
    """The same layers in the same order, called otherwise, with the linear layer as a convolution."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4)), nn.Conv2d(4, 6, 1), nn.BatchNorm2d(6)
        )
        self.classifier = nn.Conv2d(6, classes, 1)


def trained(network: nn.Module, seed: int = 0) -> nn.Module:
    """The network with random weights and statistics, as if it were trained."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if name.endswith("running_var"):
                tensor.copy_(0.5 + torch.rand(tensor.shape, generator=generator))
            elif name.endswith("num_batches_tracked"):
                tensor.fill_(7)
            elif tensor.ndim <= 1:
                tensor.copy_(0.5 + 0.2 * torch.randn(tensor.shape, generator=generator))
            else:
                fan_in = tensor[0].numel()
                tensor.copy_(torch.randn(tensor.shape, generator=generator) * (2 / fan_in) ** 0.5)
    return network.eval()
