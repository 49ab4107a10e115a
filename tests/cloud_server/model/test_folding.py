"""Batch norms folded into convolutions: the same answers, and networks that cannot be folded as they were."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from cloud_server.model.folding import fold_batch_norms
from edge_sdk.networks.timm_library import import_timm


def norms(module: torch.nn.Module) -> int:
    return sum(isinstance(one, torch.nn.BatchNorm2d) for one in module.modules())


def lived_in(module: torch.nn.Module) -> torch.nn.Module:
    """With norms as training leaves them."""
    torch.manual_seed(0)
    for one in module.modules():
        if isinstance(one, torch.nn.BatchNorm2d):
            assert one.running_mean is not None and one.running_var is not None
            one.running_mean.normal_(0, 0.2)
            one.running_var.uniform_(0.5, 2.0)
            torch.nn.init.normal_(one.weight, 1.0, 0.2)
    return module.eval()


@pytest.mark.parametrize(
    ("name", "left"),
    [("resnet10t", 0), ("mobilenetv3_small_050", 0), ("tf_efficientnet_b0", 0), ("convnext_atto", 0)],
)
def test_answers_stay_and_norms_go(name: str, left: int) -> None:
    network = lived_in(import_timm().create_model(name, num_classes=7))
    sample = torch.rand(2, 3, 64, 64)
    had = norms(network)
    folded, count = fold_batch_norms(network, sample[:1])
    assert (count, norms(folded)) == (had - left, left)
    with torch.inference_mode():
        assert torch.allclose(folded(sample), network(sample), rtol=1e-4, atol=1e-5)
    assert norms(network) == had


class Shared(torch.nn.Module):
    """A convolution whose output is used twice, and one that is called twice: neither can take a norm in."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = torch.nn.Conv2d(3, 3, 3, padding=1), torch.nn.Conv2d(3, 3, 3, padding=1)
        self.first, self.second = torch.nn.BatchNorm2d(3), torch.nn.BatchNorm2d(3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.a(x)
        y = self.first(y) + y
        result: torch.Tensor = self.second(self.b(self.b(y))).mean((2, 3))
        return result


def test_what_is_used_twice_stays() -> None:
    network = lived_in(Shared())
    assert fold_batch_norms(network, torch.rand(1, 3, 8, 8)) == (network, 0)


class Branches(torch.nn.Module):
    """A network that cannot be traced."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = torch.nn.Conv2d(3, 3, 1), torch.nn.BatchNorm2d(3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(self.conv(x)).mean((2, 3)) if x.sum() > 0 else x.mean((2, 3))


def test_what_cannot_be_traced_runs_as_it_is() -> None:
    network = lived_in(Branches())
    assert fold_batch_norms(network, torch.rand(1, 3, 8, 8)) == (network, 0)


class Standardised(torch.nn.Conv2d):
    """A convolution that changes its weights each time."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weight = self.weight / self.weight.norm()
        return torch.nn.functional.conv2d(x, weight, self.bias, padding=self.padding)


def test_a_convolution_with_weights_of_its_own_making_keeps_its_norm() -> None:
    network = lived_in(torch.nn.Sequential(Standardised(3, 4, 3), torch.nn.BatchNorm2d(4)))
    assert fold_batch_norms(network, torch.rand(1, 3, 8, 8)) == (network, 0)


def test_a_norm_without_weights_is_folded_too() -> None:
    network = lived_in(torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3, bias=False), torch.nn.BatchNorm2d(4, affine=True)))
    plain = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4, affine=False)).eval()
    for one in (network, plain):
        folded, count = fold_batch_norms(one, torch.rand(1, 3, 8, 8))
        assert (count, norms(folded)) == (1, 0)


class Meanwhile(torch.nn.Module):
    """While it is traced, another thread runs another network, as a server does that loads one beside those it has."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = torch.nn.Conv2d(3, 3, 1), torch.nn.BatchNorm2d(3)
        self.others = (lived_in(torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))),)

    def run_other(self) -> torch.Tensor:
        with torch.inference_mode():
            said: torch.Tensor = self.others[0](torch.rand(1, 3, 8, 8))
            return said

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with ThreadPoolExecutor(1) as pool:
            said = pool.submit(self.run_other).result()
        assert type(said) is torch.Tensor and said.shape == (1, 4, 6, 6)
        result: torch.Tensor = self.norm(self.conv(x)).mean((2, 3))
        return result


def test_networks_of_other_threads_run_on_while_one_is_folded() -> None:
    network = lived_in(Meanwhile())
    folded, count = fold_batch_norms(network, torch.rand(1, 3, 8, 8))
    assert (count, norms(folded)) == (1, 0)
