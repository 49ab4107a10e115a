import pytest
import torch

from edge_sdk.errors import ConfigError
from edge_sdk.networks.grouped import grouped, summed

FINE = ("red fox", "wolf", "robin", "cab")


def test_probabilities_are_summed() -> None:
    network, labels = grouped(
        torch.nn.Identity(), FINE, {"red fox": "fox or wolf", "wolf": "fox or wolf", "*": "other"}
    )
    assert labels == ("fox or wolf", "other") and network.num_classes == 2
    logits = torch.randn(5, 4)
    fine = logits.softmax(1)
    expected = torch.stack([fine[:, :2].sum(1), fine[:, 2:].sum(1)], 1)
    assert torch.allclose(network(logits).softmax(1), expected, atol=1e-6)


def test_unknown_labels_are_refused() -> None:
    with pytest.raises(ConfigError, match="it has no 'lynx'"):
        grouped(torch.nn.Identity(), FINE, {"lynx": "cat"})


def test_runs_of_outputs_are_summed() -> None:
    network = torch.nn.Identity().eval()
    logits = torch.randn(5, 6)
    found = summed(network, (2, 1, 3))
    parts = (logits[:, :2], logits[:, 2:3], logits[:, 3:])
    expected = torch.stack([part.exp().sum(1).log() for part in parts], 1).log_softmax(1)
    torch.testing.assert_close(found(logits), expected)
    assert not found.training and summed(network, (1, 1)) is network and summed(network, ()) is network
