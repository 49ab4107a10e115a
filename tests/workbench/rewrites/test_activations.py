"""Activations, clamps, sums and quotients."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from rewriting import Of, rewritten
from torch import Tensor, nn

NATIVE = {
    "add",
    "mul",
    "sub",
    "div",
    "exp",
    "log",
    "abs",
    "neg",
    "relu",
    "hardtanh",
    "sigmoid",
    "tanh",
    "gelu",
    "hardswish",
    "silu",
    "slice",
    "sqrt",
    "rsqrt",
    "leaky_relu",
    "prelu",
    "clamp",
}
FUNCTIONS = {
    "hardsigmoid": F.hardsigmoid,
    "hardswish": F.hardswish,
    "mish": lambda x: F.mish(20 * x),
    "elu": lambda x: F.elu(20 * x, 0.7),
    "selu": F.selu,
    "celu": lambda x: F.celu(x, 0.5),
    "softplus": lambda x: F.softplus(30 * x),
    "glu": lambda x: F.glu(x, 1),
    "gelu": F.gelu,
    "tanh gelu": lambda x: F.gelu(x, approximate="tanh"),
    "erf gelu": lambda x: x * 0.5 * (1.0 + torch.erf(x / 2**0.5)),
    "erf gelu again": lambda x: 0.5 * x * (1 + torch.erf(x * 0.5**0.5)),
    "relu6": F.relu6,
    "hardtanh": lambda x: F.hardtanh(x, 0, 1),
    "clamp": lambda x: x.clamp(-0.5, 1),
    "clamp below": lambda x: x.clamp(min=0),
    "clamp above": lambda x: x.clamp(max=0.5),
    "less": lambda x: 1 - x,
    "scaled sum": lambda x: torch.add(x, x.relu(), alpha=2),
    "scaled difference": lambda x: torch.sub(x, 3.0, alpha=0.5),
    "quotient": lambda x: x / 3,
    "powers": lambda x: x**2 + x.abs() ** 0.5 + (x.abs() + 1) ** -0.5 + x**3 + 1 / (x.abs() + 1),
    "star": lambda x: 0.8 * F.relu(x).square() - 0.4,
}


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
def test_activations(function: Callable[[Tensor], Tensor]) -> None:
    assert set(rewritten(function)) <= NATIVE


def test_a_clamp_at_zero_is_relu_and_one_at_six_is_hardtanh() -> None:
    assert rewritten(lambda x: x.clamp(min=0)) == {"relu": 1}
    assert rewritten(lambda x: x.clamp(0, 6)) == {"hardtanh": 1}


@pytest.mark.parametrize("bias", [True, False])
def test_hardsigmoid_goes_into_the_layer_before_it(bias: bool) -> None:
    assert rewritten(nn.Sequential(nn.Conv2d(8, 4, 1, bias=bias), nn.Hardsigmoid())) == {"conv2d": 1, "hardtanh": 1}
    assert rewritten(nn.Sequential(nn.Linear(10, 4, bias=bias), nn.Hardsigmoid())) == {"linear": 1, "hardtanh": 1}


def test_a_layer_that_others_read_keeps_its_scale() -> None:
    network = Of(lambda self, x: F.hardsigmoid(self.conv(x)) + self.conv(x).relu(), conv=nn.Conv2d(8, 4, 1))
    rewritten(network)
    shared = Of(lambda self, x: (lambda y: F.hardsigmoid(y) * y)(self.conv(x)), conv=nn.Conv2d(8, 4, 1))
    rewritten(shared)
