"""Attention heads as groups."""

from __future__ import annotations

from typing import Any

import little_task
import pytest
import torch
from pruning_parts import load, picture, pruned, some, zeroed

from edge_sdk.networks.checkpoint import create_model
from edge_sdk.networks.pruning.structure import find_structure
from edge_sdk.workbench.specialize.cost import check_cut


@pytest.mark.parametrize("arch", ["deit_tiny_patch16_224", "vit_tiny_patch16_224", "convnext_atto"])
def test_heads_and_hidden_units_are_those_that_nothing_reads(arch: str) -> None:
    """The stream's own channels share a LayerNorm, so that removing one is not the same as not reading it."""
    module, structure, side = load(arch)
    inner = {name: one for name, one in some(structure, 4).items() if name.endswith(("attn", "fc1"))}
    assert len(inner) >= 4
    small, same = pruned(module, side, inner), zeroed(module, structure, inner)
    with torch.inference_mode():
        torch.testing.assert_close(small(picture(side)), same(picture(side)), rtol=1e-4, atol=1e-5)


def test_a_transformers_heads_hidden_units_and_stream() -> None:
    module, structure, side = load("deit_tiny_patch16_224")
    groups = {group.name: group for group in structure.groups}
    heads = groups["blocks.1.attn"]
    assert (heads.kind, heads.channels, heads.singles) == ("heads", 3, ())
    assert heads.consumers[0].layer == "blocks.1.attn.proj" and heads.producers[0].layer == "blocks.1.attn.qkv"
    assert heads.producers[0].index[1].tolist() == [s + 16 + part * 48 for part in range(3) for s in range(16)]
    assert groups["blocks.0.mlp.fc1"].channels == 192
    stream = next(group for group in structure.groups if "head" in [m.layer for m in group.consumers])
    assert {"patch_embed.proj", "blocks.0.attn.proj", "blocks.1.mlp.fc2"} <= {m.layer for m in stream.producers}
    assert {"blocks.0.attn.qkv", "blocks.1.mlp.fc1", "head"} <= {m.layer for m in stream.consumers}
    cut = pruned(module, side, {"blocks.0.attn": torch.tensor([2]), "blocks.1.attn": torch.tensor([0, 2])})
    attentions: list[Any] = [cut.get_submodule(f"blocks.{number}.attn") for number in range(2)]
    assert [one.num_heads for one in attentions] == [1, 2]
    assert [tuple(one.qkv.weight.shape) for one in attentions] == [(48, 48), (96, 48)]
    assert [tuple(one.proj.weight.shape) for one in attentions] == [(48, 16), (48, 32)]
    own: Any = module.get_submodule("blocks.0.attn")
    assert torch.equal(attentions[0].proj.weight, own.proj.weight[:, 32:])
    again = find_structure(cut, side, side)
    assert again.dense == {"blocks.0.attn.qkv": "its attention has one head"}
    assert cut(picture(side)).shape == (2, 4)


def test_attentions_of_another_kind_stay_whole_with_a_reason() -> None:
    small = {"embed_dim": 48, "depth": 2, "num_heads": 3}
    module, _ = create_model("beit_base_patch16_224", labels=("a", "b"), input=little_task.SPEC, options=small)
    structure = find_structure(module, 32, 32)
    assert structure.dense == {"blocks.1.mlp.fc2": "blocks.1.attn is an attention of another kind"}
    assert [group.name for group in structure.groups] == ["blocks.1.mlp.fc1", "blocks.0.mlp.fc1"]
    check_cut(module, structure, 32, 32)
