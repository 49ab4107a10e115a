"""What stays in float32 beside the norms."""

import torch
from torch import nn

from edge_sdk.workbench.lowering import quiet
from edge_sdk.workbench.rewrites.capture import capture
from edge_sdk.workbench.rewrites.editor import KEEPS_FLOAT


class Stream(nn.Module):
    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.norm = norm
        self.first, self.second = nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.cat([self.first(x), x], 1)
        y = y + self.second(self.norm(y))
        return self.first(self.norm(y))  # type: ignore[no-any-return]


def kept(norm: nn.Module) -> list[bool]:
    with quiet():
        captured = capture(Stream(norm).eval(), (torch.randn(1, 5, 8),))
    sums = (torch.ops.aten.cat.default, torch.ops.aten.add.Tensor)
    return [KEEPS_FLOAT in node.meta for node in captured.graph.nodes if node.target in sums]


def test_a_stream_that_norms_read_stays_in_float() -> None:
    assert all(kept(nn.LayerNorm(8)))


def test_a_stream_without_norms_is_int8() -> None:
    assert not any(kept(nn.ReLU()))
