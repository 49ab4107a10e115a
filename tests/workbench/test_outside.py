"""What stays outside XNNPACK."""

import pytest
import torch
from torch import nn

from edge_sdk.errors import WorkbenchError
from edge_sdk.workbench.lowering import lower, quiet
from edge_sdk.workbench.outside import Outside, cure_of
from edge_sdk.workbench.rewrites.capture import capture


class Sorted(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.flatten(1).sort(1).values[:, :10]


def test_each_operator_is_named_with_its_module_and_a_cure() -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Sequential(Sorted()), nn.Linear(10, 2)).eval()
    inputs = (torch.randn(1, 3, 40, 40),)
    with quiet():
        captured = capture(network, inputs)
        with pytest.raises(WorkbenchError, match=r"sort in 1\.0 \(use places and an order.*--allow sort"):
            lower(captured, inputs, ())
        lowered = lower(captured, inputs, ("sort",))
    assert [str(one.module) for one in lowered.outside] == ["1.0"] and lowered.outside[0].heavy


def test_light_operators_are_told_and_allowed() -> None:
    network = nn.Sequential(nn.Linear(8, 4), nn.Softsign()).eval()
    with quiet():
        lowered = lower(capture(network, (torch.randn(1, 8),)), (torch.randn(1, 8),), ())
    assert lowered.outside == ()
    tiny = nn.Sequential(nn.Linear(8, 4), nn.LogSigmoid()).eval()
    with quiet():
        found = lower(capture(tiny, (torch.randn(1, 8),)), (torch.randn(1, 8),), ()).outside
    assert not any(one.heavy for one in found)


@pytest.mark.parametrize("operator", ["convolution", "native_group_norm", "topk", "atan", "avg_pool2d", "_fft_r2c"])
def test_cures_are_orders(operator: str) -> None:
    assert cure_of(operator).split()[0] in ("use", "choose", "multiply", "resize")
    assert str(Outside(operator, "head", "use less", True)) == f"{operator} in head (use less)"
