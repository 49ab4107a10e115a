import pytest
import torch
from weight_files import Small, trained

from edge_sdk.networks.timm_library import import_timm
from edge_sdk.networks.torchvision_twin import SAME, epsilon_of, torchvision_twin


@pytest.fixture(scope="module")
def small() -> torch.nn.Module:
    import_timm()
    from torchvision import models

    return trained(models.mobilenet_v3_small(num_classes=5))


def test_torchvisions_network_is_made_of_a_files_weights(small: torch.nn.Module) -> None:
    tensors = {f"module.{name}": tensor for name, tensor in reversed(small.state_dict().items())}
    twin = torchvision_twin(tensors)
    assert twin is not None and twin.name == "mobilenet_v3_small" and twin.epsilon == 1e-3
    assert [name for name in small.state_dict() if name in twin.tensors] == list(twin.tensors)
    picture = torch.randn(1, 3, 64, 64)
    assert torch.equal(twin.module(picture), small(picture))
    assert twin.difference(small, 64, 64) == 0
    assert twin.difference(_with_other_epsilon(small), 64, 64) > SAME  # which the weights do not tell


def _with_other_epsilon(network: torch.nn.Module) -> torch.nn.Module:
    from torchvision import models

    other: torch.nn.Module = models.mobilenet_v3_small(num_classes=5)
    other.load_state_dict(network.state_dict())
    for layer in other.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.eps = 1e-5
    return other


def test_other_networks_have_no_twin() -> None:
    assert torchvision_twin(Small().state_dict()) is None
    assert epsilon_of(Small()) == 1e-5 and epsilon_of(torch.nn.ReLU()) is None
