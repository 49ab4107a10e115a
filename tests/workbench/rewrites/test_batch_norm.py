"""Batch norm in evaluation."""

from rewriting import Of, rewritten
from torch import nn


def test_it_goes_into_the_convolution_or_linear_layer_before_it() -> None:
    assert rewritten(nn.Sequential(nn.Conv2d(8, 4, 3), nn.BatchNorm2d(4))) == {"conv2d": 1}
    assert rewritten(nn.Sequential(nn.Linear(10, 4, bias=False), nn.BatchNorm1d(4)), 10) == {"linear": 1}


def test_it_goes_into_a_linear_layer_through_views() -> None:
    network = Of(
        lambda self, x: self.norm(self.layer(x).flatten(0, 1)).view(1, 6, 4),
        layer=nn.Linear(10, 4, bias=False),
        norm=nn.BatchNorm1d(4),
    )
    assert rewritten(network, 6, 10)["linear"] == 1
    assert "mul" not in rewritten(network, 6, 10)


def test_alone_it_is_a_depthwise_convolution() -> None:
    assert rewritten(nn.Sequential(nn.BatchNorm2d(8), nn.ReLU())) == {"conv2d": 1, "relu": 1}
    assert rewritten(nn.BatchNorm2d(8, affine=False)) == {"conv2d": 1}
    assert set(rewritten(nn.BatchNorm1d(8), 8, 5)) == {"conv2d", "view_copy"}
    assert set(rewritten(nn.BatchNorm1d(8), 8)) == {"mul", "add"}


def test_a_layer_that_others_read_too_is_left_alone() -> None:
    network = Of(
        lambda self, x: (lambda y: self.norm(y) + y)(self.conv(x)), conv=nn.Conv2d(8, 8, 1), norm=nn.BatchNorm2d(8)
    )
    assert rewritten(network) == {"conv2d": 2, "add": 1}
