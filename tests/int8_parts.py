"""A network whose int8 is spoilt in one place, prepared, converted and in float32."""

from __future__ import annotations

import copy
from functools import cache
from typing import Any

import torch
from torch import nn

from edge_sdk.workbench.float_layers import Trial
from edge_sdk.workbench.lowering import quiet
from edge_sdk.workbench.observers import without_observers
from edge_sdk.workbench.walk import walk

Made = tuple[Any, Any, Any, list[torch.Tensor]]


class Reaching(nn.Module):
    """Between its second and third layer one channel reaches a thousand times further, and is not looked at."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b, self.c = nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 8, 1), nn.Conv2d(8, 8, 1)
        self.d = nn.Linear(8, 4)
        with torch.no_grad():
            self.b.weight[0] *= 1000
            self.c.weight[:, 0] = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.c(nn.functional.hardswish(self.b(nn.functional.relu6(self.a(x)))))
        return self.d(x.relu().mean((2, 3)))  # type: ignore[no-any-return]


@cache
def made() -> Made:
    """The prepared, the converted and the float network, and pictures."""
    with quiet():
        from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

        from edge_sdk.workbench.quantizer import FusingQuantizer

        pictures = list(torch.randn(10, 1, 3, 12, 12, generator=torch.Generator().manual_seed(1)))
        captured = torch.export.export(Reaching().eval(), (pictures[0],), strict=False).module()
        prepared = prepare_pt2e(captured, FusingQuantizer())
        for picture in pictures:
            prepared(picture)
        reference = without_observers(copy.deepcopy(prepared))
        return prepared, convert_pt2e(copy.deepcopy(prepared)), reference, pictures


def trial(parts: Made) -> Trial:
    """The converted network, ready to be run with some layers in float32."""
    _, network, reference, pictures = parts
    wanted = torch.cat(walk(reference, pictures)).numpy()
    return Trial(network, reference, pictures, wanted)
