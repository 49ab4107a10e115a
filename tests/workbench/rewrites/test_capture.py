"""Capturing a network."""

import torch
from rewriting import rewritten
from torch import nn

from edge_sdk.workbench.lowering import quiet
from edge_sdk.workbench.rewrites.capture import capture


def test_the_network_itself_is_not_changed() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Hardsigmoid()).eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with quiet():
        capture(network, (torch.randn(1, 3, 4, 4),))
    for name, value in network.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)


def test_operators_that_no_rule_knows_stay() -> None:
    assert rewritten(lambda x: torch.atan(x)) == {"atan": 1}
