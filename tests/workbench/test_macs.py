import torch
from torch import nn

from edge_sdk.workbench.macs import count_macs, count_parameters


def test_a_convolution_and_a_linear_layer_by_hand() -> None:
    module = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 24 * 32, 5))
    module.train()
    assert count_macs(module, width=64, height=48) == 24 * 32 * 8 * 3 * 9 + 8 * 24 * 32 * 5
    assert module.training
    assert count_parameters(module) == sum(p.numel() for p in module.parameters())


def test_grouped_convolutions_cost_less() -> None:
    def cost(groups: int) -> int:
        return count_macs(nn.Sequential(nn.Conv2d(3, 6, 1), nn.Conv2d(6, 6, 3, padding=1, groups=groups)), 16, 16)

    first = 16 * 16 * 3 * 6
    assert cost(1) - first == 6 * (cost(6) - first)
    assert isinstance(cost(1), int) and torch.is_grad_enabled()
