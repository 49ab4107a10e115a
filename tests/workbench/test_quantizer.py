"""Clamps are fused into the layer before them, as XNNPACK's delegate does it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from edge_sdk.workbench.lowering import quiet

pytestmark = pytest.mark.filterwarnings("ignore")  # of the exporter's own code

PICTURE = torch.linspace(-1, 1, 3 * 8 * 8).reshape(1, 3, 8, 8)


class Layered(nn.Module):
    """A convolution, what follows it, and a second one, which makes the first output worth quantising."""

    def __init__(self, follow: Any) -> None:
        super().__init__()
        self.first, self.second, self.follow = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1), follow

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(self.follow(self.first(x)))  # type: ignore[no-any-return]


def observed(network: nn.Module) -> list[str]:
    """The operators whose values are observed between the first and the second convolution."""
    with quiet():
        from torchao.quantization.pt2e.quantize_pt2e import prepare_pt2e

        from edge_sdk.workbench.quantizer import FusingQuantizer

    captured = torch.export.export(network.eval(), (PICTURE,), strict=False).module()
    prepared = prepare_pt2e(captured, FusingQuantizer())
    prepared(PICTURE)
    found: list[str] = []
    for node in prepared.graph.nodes:
        if node.op == "call_module" and str(node.target).startswith("activation_post_process"):
            source = node.all_input_nodes[0]
            if source.op == "call_function":
                found.append(str(source.target).split(".")[1])
    return found[:-1]  # the last is the second convolution's


@pytest.mark.parametrize(
    ("follow", "last"),
    [
        (nn.ReLU(), "relu"),
        (nn.ReLU6(), "hardtanh"),
        (nn.ReLU6(inplace=True), "hardtanh_"),
        (nn.Hardtanh(-2, 3), "hardtanh"),
        (functional.relu6, "hardtanh"),
        (lambda x: x.clamp(0, 6), "hardtanh"),
        (lambda x: torch.clamp(x, min=0.0, max=6.0), "hardtanh"),
        (lambda x: x.clamp_(0, 6), "hardtanh"),
    ],
)
def test_the_value_before_a_clamp_is_not_observed(follow: Any, last: str) -> None:
    assert observed(Layered(follow)) in ([last], ["relu6"])


def test_a_value_that_is_used_twice_is_observed() -> None:
    class Twice(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return functional.relu6(x) + x

    assert observed(Layered(Twice()))[0] == "conv2d"


def test_a_sum_and_a_linear_layer_take_their_clamp_in_too() -> None:
    class Sum(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return functional.relu6(x + 1.5 * x.detach())

    assert "add" not in observed(Layered(Sum()))
    linear = nn.Sequential(nn.Linear(8, 8), nn.ReLU6(), nn.Linear(8, 8))
    assert observed(linear) in (["hardtanh"], ["relu6"])
