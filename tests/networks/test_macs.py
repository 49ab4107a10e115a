import little_task
import pytest
import torch
from torch import nn

from edge_sdk.networks.macs import count_macs, count_parameters
from edge_sdk.networks.timm_library import import_timm


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


@pytest.mark.parametrize("fused", [True, False])
def test_attention_multiplies_queries_with_keys_and_shares_with_values(fused: bool) -> None:
    import_timm()
    from timm.layers import Attention  # type: ignore[attr-defined]

    class Tokens(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = Attention(24, num_heads=3, qkv_bias=True)
            self.attention.fused_attn = fused  # type: ignore[misc]

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            nine_tokens = x.flatten(2)[:, :, :24].repeat(1, 3, 1)
            return torch.as_tensor(self.attention(nine_tokens))

    projections = 9 * 24 * (3 * 24 + 24)
    assert count_macs(Tokens(), width=8, height=8) == projections + 3 * 2 * 9**2 * 8


def test_a_transformers_attention_is_part_of_its_cost() -> None:
    module, info = little_task.network("vit_tiny_patch16_224", side=48)
    tokens, width = 3 * 3 + 1, 48
    block = tokens * width * 12 * width + 2 * tokens**2 * width
    assert info.macs == 9 * 3 * 16 * 16 * width + 2 * block + 4 * width
    assert count_parameters(module) == info.parameters
