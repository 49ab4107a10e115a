"""A layer's running state: a part of it tells what the whole would."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.workbench.specialize.hessian import Hessian
from edge_sdk.workbench.specialize.state import LayerState


@given(st.integers(0, 10**6), st.integers(2, 6), st.integers(1, 3), st.integers(1, 20), st.data())
def test_a_part_scores_its_channels_as_the_layer_does(
    seed: int, channels: int, block: int, samples: int, data: st.DataObject
) -> None:
    generator = torch.Generator().manual_seed(seed)
    width = channels * block + 1
    hessian = Hessian(width)
    hessian.add(torch.randn(samples, width, generator=generator, dtype=torch.float64))
    columns = torch.randperm(width, generator=generator)[: channels * block].reshape(channels, block)
    weight = torch.randn(3, width, generator=generator, dtype=torch.float64)
    layer = LayerState(weight, hessian.damped(0.05), columns, torch.float64)

    pool = torch.tensor(data.draw(st.lists(st.integers(0, channels - 1), unique=True, min_size=1)))
    left = torch.arange(len(pool))
    part = layer.part(pool)
    while True:
        np.testing.assert_allclose(part.scores(left), layer.scores(pool[left]), rtol=1e-7, atol=1e-9)
        if len(left) == 1:
            break
        gone = int(left[data.draw(st.integers(0, len(left) - 1))])
        part.remove(gone)
        layer.remove(pool[[gone]])
        left = left[left != gone]
