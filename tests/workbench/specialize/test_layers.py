"""What a layer is fed, as rows: their products with the flat weight are the layer's output."""

from __future__ import annotations

from typing import Any

import little_task
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from edge_sdk.workbench.specialize.layers import (
    chosen_rows,
    fed,
    flat_weight,
    forward_order,
    rows_of,
    set_weight,
    watching,
)


def check(layer: nn.Module, inputs: torch.Tensor) -> None:
    """Rows times weight plus bias, position by position, is what the layer gives."""
    with torch.inference_mode():
        output = layer(inputs)
    if isinstance(layer, nn.Conv2d):
        output = output.flatten(2).transpose(1, 2)
    products = rows_of(layer, inputs).double() @ flat_weight(layer).T
    bias: Any = layer.bias
    if bias is not None:
        products = products + bias.detach()
    torch.testing.assert_close(products, output.flatten(0, -2).double(), rtol=1e-4, atol=1e-5)


@settings(max_examples=40)
@given(
    st.integers(1, 4),
    st.integers(1, 3),
    st.integers(1, 3),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.tuples(st.integers(0, 2), st.integers(0, 2)),
    st.tuples(st.integers(1, 2), st.integers(1, 2)),
    st.booleans(),
)
def test_a_convolutions_rows(
    inputs: int,
    high: int,
    wide: int,
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
    bias: bool,
) -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(inputs, 5, (high, wide), stride, padding, dilation, bias=bias)
    check(layer, torch.randn(2, inputs, 9, 7))


@settings(max_examples=20)
@given(st.integers(1, 5), st.integers(1, 3), st.integers(1, 2), st.integers(5, 9), st.integers(5, 9))
def test_rows_of_a_convolution_that_pads_as_tensorflow_does(
    kernel: int, stride: int, dilation: int, height: int, width: int
) -> None:
    from edge_sdk.networks.timm_library import import_timm

    import_timm()
    from timm.layers import Conv2dSame  # type: ignore[attr-defined]

    torch.manual_seed(0)
    check(Conv2dSame(3, 4, kernel, stride, 0, dilation), torch.randn(2, 3, height, width))


def test_tokens_and_plain_vectors() -> None:
    torch.manual_seed(0)
    layer = nn.Linear(6, 4)
    check(layer, torch.randn(3, 6))
    check(layer, torch.randn(2, 5, 6))
    check(layer, torch.randn(2, 3, 5, 6))


@pytest.mark.parametrize("arch", ["resnet10t", "vit_tiny_patch16_224", "convnext_atto", "tf_efficientnet_lite0"])
def test_rows_of_every_layer_of_a_real_network(arch: str) -> None:
    module, _ = little_task.network(arch)
    layers: dict[str, Any] = {
        name: layer
        for name, layer in module.named_modules()
        if isinstance(layer, nn.Linear) or (isinstance(layer, nn.Conv2d) and layer.groups == 1)
    }
    seen: dict[str, torch.Tensor] = {}
    with torch.inference_mode(), watching(module, list(layers), lambda name, inputs: seen.update({name: inputs})):
        module(torch.randn(2, 3, 32, 32))
    assert seen.keys() == layers.keys()
    for name, inputs in seen.items():
        check(layers[name], inputs)


def test_a_weight_goes_out_and_back() -> None:
    layer = nn.Conv2d(2, 3, (2, 3))
    flat = flat_weight(layer)
    assert flat.shape == (3, 12) and flat.dtype == torch.float64 and not flat.requires_grad
    flat *= 2
    before = layer.weight.detach().clone()
    assert torch.equal(layer.weight, before)
    set_weight(layer, flat, torch.arange(3.0))
    assert torch.equal(layer.weight, 2 * before) and layer.bias is not None and layer.bias.tolist() == [0, 1, 2]
    assert layer.weight.requires_grad


class Chain(nn.Module):
    """Three layers; the last raises unless it is told not to."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Linear(3, 4), nn.Linear(4, 5), nn.Linear(5, 2)
        self.ran: list[str] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for name in ("a", "b", "b_again", "c"):
            if name == "b_again":
                continue
            x = getattr(self, name)(x)
            self.ran.append(name)
        return x


def test_a_network_runs_no_further_than_is_needed() -> None:
    chain, batch = Chain(), torch.randn(2, 3)
    seen = fed(chain, ["b", "a"], batch)
    assert chain.ran == ["a"]
    assert torch.equal(seen["a"], batch) and torch.equal(seen["b"], chain.a(batch))
    assert chain(batch).shape == (2, 2)  # no hook is left
    assert not any(layer._forward_pre_hooks for layer in chain.modules())


def test_hooks_go_even_when_the_network_fails() -> None:
    chain = Chain()
    with pytest.raises(RuntimeError):
        fed(chain, ["c"], torch.randn(2, 7))
    assert not any(layer._forward_pre_hooks for layer in chain.modules())


def test_the_order_is_that_of_the_run() -> None:
    chain = Chain()
    assert forward_order(chain, ["c", "a", "b"], torch.randn(1, 3)) == ["a", "b", "c"]
    tied = nn.Sequential(*(2 * [nn.Linear(3, 3)]), nn.Linear(3, 1))
    assert forward_order(tied, ["2", "0"], torch.randn(1, 3)) == ["0", "2"]


def test_a_choice_of_rows_is_seeded_and_about_as_large_as_asked() -> None:
    assert chosen_rows(10, 1.0, 0) is None and chosen_rows(10, 7.5, 0) is None
    one, same, other = (chosen_rows(1000, 0.1, seed) for seed in (1, 1, 2))
    assert one is not None and same is not None and other is not None
    assert len(one) == len(set(one.tolist())) == 100
    assert torch.equal(one, same) and not torch.equal(one, other)
    least = chosen_rows(5, 1e-9, 0)
    assert least is not None and len(least) == 1
