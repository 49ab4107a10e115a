"""A small network of many kinds of layers, in int8 and in float, and pictures."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn

from edge_sdk.workbench.lowering import quiet
from edge_sdk.workbench.observers import without_observers


class Mixed(nn.Module):
    """Depthwise, strided, without a bias, linear over three dimensions."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, 1, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU6(inplace=True),
            nn.Conv2d(8, 8, 3, 1, 1, groups=8, bias=False),
            nn.Hardswish(),
            nn.Conv2d(8, 6, 1),
        )
        self.tokens, self.head = nn.Linear(6, 6, bias=False), nn.Linear(6, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.tokens(self.body(x).flatten(2).transpose(1, 2))
        return self.head(x.mean(1))  # type: ignore[no-any-return]


def pair() -> tuple[Any, Any, list[torch.Tensor]]:
    """The converted network, the float one, and pictures."""
    with quiet():
        from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

        from edge_sdk.workbench.quantizer import FusingQuantizer

        torch.manual_seed(0)
        pictures = list(torch.randn(12, 1, 3, 9, 9))
        captured = torch.export.export(Mixed().eval(), (pictures[0],), strict=False).module()
        prepared = prepare_pt2e(captured, FusingQuantizer())
        for picture in pictures:
            prepared(picture)
        return convert_pt2e(copy.deepcopy(prepared)), without_observers(prepared), pictures
