"""Linear layers of turned pictures."""

import torch
from rewriting import Of, rewritten
from torch import nn

from edge_sdk.networks.timm_library import import_timm


def test_a_convnext_block_never_turns_its_picture() -> None:
    import_timm()
    from timm.models.convnext import ConvNeXtBlock

    found = rewritten(ConvNeXtBlock(8, 8, ls_init_value=0.5))
    assert not {"permute", "linear", "layer_norm", "view_copy"} & set(found)
    assert found["conv2d"] == 8  # two of the block's, four parts of its 7x7 one, two for the norm's mean and variance


def test_a_picture_that_stays_turned_keeps_its_permutation() -> None:
    network = Of(lambda self, x: self.layer(x.permute(0, 2, 3, 1)).flatten(1, 2), layer=nn.Linear(8, 4))
    assert rewritten(network) == {"conv2d": 1, "permute": 1, "view_copy": 1}


def test_factors_that_are_not_one_a_channel_are_left_where_they_are() -> None:
    assert rewritten(lambda x: x.permute(0, 2, 3, 1) * torch.arange(480.0).view(1, 6, 10, 8))["permute"] == 1


def test_a_factor_without_a_dimension_is_one_for_all_channels() -> None:
    found = rewritten(lambda x: (x.permute(0, 2, 3, 1) * torch.tensor(0.7)).permute(0, 3, 1, 2) + 1.0)
    assert "permute" not in found
