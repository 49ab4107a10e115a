"""Where exits can be attached to a network, and what the way there costs."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sequence_parts import made

from edge_sdk.errors import WorkbenchError
from edge_sdk.model.bundle import InputSpec
from edge_sdk.networks.taps import pooled


@pytest.mark.parametrize(
    ("arch", "size"),
    [("resnet10t", 64), ("mobilenetv3_small_050", 64), ("convnext_atto", 64), ("vit_tiny_patch16_224", 64)],
)
def test_convolutional_and_transformer_networks_are_tapped(arch: str, size: int) -> None:
    spec = InputSpec(size, size, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    model = made(arch, spec=spec)
    info = model.info
    assert len(info.modules) >= 2
    assert sum(info.way_macs) == pytest.approx(info.big.macs, rel=0.01)
    assert all(cost > 0 for cost in (*info.way_macs, *info.exit_macs))
    inputs = torch.randn(4, 3, 64, 64)
    found, logits = model.features(inputs)
    assert [tuple(one.shape) for one in found] == [(4, c) for c in info.channels]
    with torch.inference_mode():
        assert torch.allclose(logits, model.big(inputs).float(), atol=1e-5)


@settings(max_examples=20)
@given(st.sampled_from([(2, 5, 3, 4), (2, 3, 4, 5), (2, 7, 5)]))
def test_features_are_pooled_over_their_places(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    found = torch.randn(shape)
    if len(shape) == 4 and shape[1] == 5:
        assert torch.allclose(pooled(found, 5), found.mean((2, 3)))
    else:
        assert torch.allclose(pooled(found, 5), found.reshape(2, -1, 5).mean(1))
    with pytest.raises(WorkbenchError, match="expected features of 9 channels"):
        pooled(found, 9)
