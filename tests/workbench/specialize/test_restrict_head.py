"""A head of many classes made one of few."""

from __future__ import annotations

from typing import Any

import little_task
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk.errors import WorkbenchError
from edge_sdk.networks.checkpoint import create_model
from edge_sdk.networks.grouped import Summed, summed
from edge_sdk.workbench.specialize.restrict_head import classifier, restrict, restrict_finely

TEN = tuple("abcdefghij")


@pytest.mark.parametrize("arch", ["resnet10t", "convnext_atto", "vit_tiny_patch16_224", "mobilenetv3_small_050"])
def test_the_rows_of_the_classes_stay(arch: str) -> None:
    module, _ = little_task.network(arch, TEN)
    few = restrict(module, [[7], [0], [3]])
    picture = torch.randn(2, 3, 32, 32)
    with torch.inference_mode():
        torch.testing.assert_close(few(picture), module(picture)[:, [7, 0, 3]], rtol=1e-4, atol=1e-6)
        assert module(picture).shape == (2, 10)  # as it was
    assert not few.training and few.num_classes == 3
    assert classifier(few)[0] == classifier(module)[0]
    assert few.get_classifier() is classifier(few)[1]  # type: ignore[operator]


def test_several_classes_become_their_mean() -> None:
    module, _ = little_task.network("resnet10t", TEN)
    few = restrict(module, [[1, 4, 5], [9]])
    picture = torch.randn(2, 3, 32, 32)
    with torch.inference_mode():
        logits = module(picture)
        wanted = torch.stack([logits[:, [1, 4, 5]].mean(1), logits[:, 9]], 1)
        torch.testing.assert_close(few(picture), wanted, rtol=1e-4, atol=1e-6)


def test_finer_classes_stay_beside_each_other() -> None:
    module, _ = little_task.network("resnet10t", TEN)
    members = [[1, 4, 5], [9]]
    few = restrict_finely(module, members)
    picture = torch.randn(2, 3, 32, 32)
    with torch.inference_mode():
        assert few(picture).shape == (2, 4)
        wanted = Summed(module, members)(picture).log_softmax(1)
        torch.testing.assert_close(summed(few, (3, 1))(picture), wanted, rtol=1e-4, atol=1e-5)
    with pytest.raises(WorkbenchError, match="one linear classifier; got Summed"):
        restrict(summed(few, (3, 1)), [[0], [1]])


@settings(max_examples=25)
@given(st.integers(0, 1000), st.floats(0.1, 30), st.data())
def test_summed_gives_the_probability_of_either(seed: int, scale: float, data: st.DataObject) -> None:
    class Constant(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x

    order = data.draw(st.permutations(range(10)))
    cuts = sorted(data.draw(st.sets(st.integers(1, 9), min_size=1, max_size=4)))
    members = [order[a:b] for a, b in zip([0, *cuts], cuts, strict=False)]
    logits = scale * torch.randn(3, 10, generator=torch.Generator().manual_seed(seed)).double()
    found = Summed(Constant(), members)(logits)
    shares = torch.stack([logits.softmax(1)[:, group].sum(1) for group in members], 1)
    torch.testing.assert_close(found.softmax(1), shares / shares.sum(1, keepdim=True))
    torch.testing.assert_close(found, shares.clamp_min(1e-30).log(), rtol=1e-5, atol=1e-6)


def test_other_heads_are_refused() -> None:
    distilled, _ = create_model(
        "deit_tiny_distilled_patch16_224",
        labels=list("abc"),
        options={"embed_dim": 48, "depth": 1, "num_heads": 3},
        input=little_task.SPEC,
    )
    with pytest.raises(WorkbenchError, match=r"one linear classifier; got tuple\. Distilled transformers"):
        restrict(distilled, [[0], [1]])
    module: Any = little_task.network("resnet10t")[0]
    module.reset_classifier(0)
    with pytest.raises(WorkbenchError, match="one linear classifier; got Identity"):
        classifier(module)
    module.fc = torch.nn.Conv2d(24, 3, 1)
    with pytest.raises(WorkbenchError, match="one linear classifier; got Conv2d"):
        restrict(module, [[0], [1]])
