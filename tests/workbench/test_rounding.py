"""Weights fitted to their inputs, and rounded with these in view."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from int8_pair import pair

from edge_sdk.workbench.bias_correction import correct_biases
from edge_sdk.workbench.moments import Moments
from edge_sdk.workbench.rounding import fitting_change, round_weight
from edge_sdk.workbench.specialize.sparse import Grid
from edge_sdk.workbench.walk import walk

pytestmark = pytest.mark.filterwarnings("ignore")  # of the exporter's own code


def error(weight: torch.Tensor, rounded: tuple[torch.Tensor, torch.Tensor], gram: torch.Tensor) -> float:
    """What rounding adds to the outputs."""
    off = rounded[1].double() * rounded[0].double()[:, None] - weight.double()
    return float(torch.einsum("oi,ij,oj->", off, gram, off))


def nearest(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    grid = Grid.of(weight)
    return grid.scale, grid.codes(weight)


def test_independent_inputs_are_rounded_to_the_nearest() -> None:
    torch.manual_seed(0)
    weight = torch.randn(5, 70)
    scale, codes = round_weight(weight, torch.eye(70, dtype=torch.float64)[None])
    assert codes.dtype == torch.int8 and torch.equal(scale, Grid.of(weight).scale)
    assert torch.equal(codes.double(), Grid(scale).codes(weight))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("width", [12, 80])
def test_dependent_inputs_are_rounded_to_nearer_outputs(seed: int, width: int) -> None:
    torch.manual_seed(seed)
    weight, mixed = torch.randn(8, width), torch.randn(400, 4) @ torch.randn(4, width) + 0.1 * torch.randn(400, width)
    gram = (mixed.T @ mixed / 400).double()
    assert error(weight, round_weight(weight, gram[None]), gram) < 0.5 * error(weight, nearest(weight), gram)


def test_few_weights_are_given_the_step_that_fits_them_best() -> None:
    torch.manual_seed(0)
    weight, gram = torch.randn(50, 9), torch.eye(9, dtype=torch.float64)
    assert error(weight, round_weight(weight, gram[None]), gram) < 0.6 * error(weight, nearest(weight), gram)


def test_many_groups_at_once_are_rounded_as_one_by_one() -> None:
    torch.manual_seed(0)
    weight, mixed = torch.randn(10, 9), torch.randn(5, 200, 9) @ torch.randn(5, 9, 9)
    grams = (mixed.transpose(1, 2) @ mixed / 200).double()
    alone = [round_weight(weight[2 * n : 2 * n + 2], grams[n : n + 1]) for n in range(5)]
    for found, one_by_one in zip(round_weight(weight, grams), zip(*alone, strict=True), strict=True):
        assert torch.equal(found, torch.cat(one_by_one))


def test_an_output_that_is_always_zero_keeps_a_step_that_a_device_can_hold() -> None:
    weight = torch.tensor([[1.0, -2.0, 0.5], [1e-12, 0.0, 0.0], [0.0, 0.0, 0.0]])
    scale, codes = round_weight(weight, torch.eye(3, dtype=torch.float64)[None])
    assert float(scale.min()) >= 1e-8 and not codes[1:].any()


def parts(inputs: torch.Tensor, lacking: torch.Tensor) -> list[Moments]:
    found = []
    for half in (0, 1):
        rows, wanted = inputs[half::2].double(), lacking[half::2].double()
        means = rows.mean(0), wanted.mean(0)
        rows, wanted = rows - means[0], wanted - means[1]
        covariance, cross = rows.T @ rows / len(rows), wanted.T @ rows / len(rows)
        found.append(Moments(covariance[None], cross[None], means[0][None], means[1][None]))
    return found


def test_the_change_gives_outputs_what_they_lack() -> None:
    torch.manual_seed(0)
    inputs, wanted = torch.randn(4000, 6), torch.randn(3, 6)
    change = fitting_change(parts(inputs, inputs @ wanted.T))[0]
    torch.testing.assert_close(change, wanted.double(), rtol=0.05, atol=0.05)


def test_what_is_chance_changes_next_to_nothing() -> None:
    torch.manual_seed(0)
    inputs, noise = torch.randn(60, 40), torch.randn(60, 3)
    change = fitting_change(parts(inputs, noise))[0]
    assert float((inputs.double() @ change.T).var()) < 0.01 * float(noise.var())


def test_fitted_weights_bring_the_outputs_nearer_to_the_float_networks() -> None:
    quantised, reference, pictures = pair()
    wanted = torch.cat(walk(reference, pictures))
    errors = {}
    for rounding in (False, True):
        network: Any = copy.deepcopy(quantised)
        correct_biases(network, reference, pictures, rounding=rounding)
        errors[rounding] = float((torch.cat(walk(network, pictures)) - wanted).square().mean())
    assert errors[True] < errors[False]
