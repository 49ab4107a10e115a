"""What depends on no picture."""

from typing import Any

import torch
import torch.nn.functional as F
from rewriting import Of, rewritten
from torch import nn


def test_tables_and_standardised_weights_are_computed_once() -> None:
    def bias(self: Any, x: torch.Tensor) -> Any:
        table = self.table.weight
        return x + table[torch.arange(6)[:, None] * 0 + torch.arange(10)[None]].permute(2, 0, 1)

    assert rewritten(Of(bias, table=nn.Embedding(10, 8))) == {"add": 1}

    def standardised(self: Any, x: torch.Tensor) -> Any:
        weight = self.conv.weight
        return F.conv2d(x, (weight - weight.mean()) / weight.std())

    assert rewritten(Of(standardised, conv=nn.Conv2d(8, 4, 3))) == {"conv2d": 1}


def test_a_network_that_looks_at_nothing_is_a_constant() -> None:
    assert not rewritten(lambda x: torch.arange(6.0).view(1, 6).softmax(-1))
