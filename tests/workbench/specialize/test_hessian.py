"""Hessians, their inverses, errors and the sequential refit."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.errors import WorkbenchError
from edge_sdk.workbench.specialize.hessian import Hessian, energy, factorise, inverse, refit

SEEDS = st.integers(0, 10**6)


def randn(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@given(SEEDS, st.integers(1, 6), st.lists(st.integers(0, 5), min_size=1, max_size=4))
def test_batches_add_up_to_the_whole(seed: int, width: int, batches: list[int]) -> None:
    x = randn(seed, sum(batches), width)
    hessian = Hessian(width)
    for part in x.split(batches):  # type: ignore[no-untyped-call]
        hessian.add(part)
    assert hessian.samples == len(x) and hessian.matrix.dtype == torch.float64
    np.testing.assert_allclose(hessian.matrix, x.numpy().T @ x.numpy(), atol=1e-12)


def test_batches_may_be_multiplied_in_float32() -> None:
    x = randn(0, 50, 4).float()
    exact, fast = Hessian(4), Hessian(4, dtype=torch.float32)
    exact.add(x.half())
    fast.add(x.half())
    assert fast.matrix.dtype == torch.float64
    np.testing.assert_allclose(fast.matrix, exact.matrix, rtol=1e-5, atol=1e-5)


@given(SEEDS, st.integers(1, 6), st.integers(1, 8), st.floats(0, 1))
def test_damping_is_a_share_of_the_mean_diagonal(seed: int, width: int, samples: int, damping: float) -> None:
    x = randn(seed, samples, width)
    hessian = Hessian(width)
    hessian.add(x)
    mean = (x.T @ x).numpy() / samples
    expected = mean + damping * np.trace(mean) / width * np.eye(width)
    np.testing.assert_allclose(hessian.damped(damping), expected, atol=1e-12)


def test_dead_inputs_have_the_ridge_alone_or_one() -> None:
    hessian = Hessian(3)
    hessian.add(torch.tensor([[2.0, 0.0, 1.0]]))
    assert hessian.damped(0.3)[1].tolist() == pytest.approx([0, 0.5, 0])
    assert hessian.damped(0.0)[1].tolist() == [0, 1, 0]
    nothing = Hessian(2)
    nothing.add(torch.zeros(5, 2))
    assert torch.equal(nothing.damped(0.1), torch.eye(2, dtype=torch.float64))


@given(SEEDS, st.integers(1, 8), st.integers(1, 10), st.sampled_from([1e-3, 1e-2, 1.0]))
def test_inverse_is_the_inverse_whatever_the_rank(seed: int, width: int, samples: int, damping: float) -> None:
    hessian = Hessian(width)
    hessian.add(randn(seed, samples, width))
    matrix = hessian.damped(damping)
    np.testing.assert_allclose(matrix @ inverse(matrix), np.eye(width), atol=1e-8)


def test_a_singular_matrix_is_raised_and_a_hopeless_one_refused() -> None:
    factor, added = factorise(torch.ones(3, 3), damping=1e-2)
    assert added == pytest.approx(1e-2)
    np.testing.assert_allclose(factor @ factor.T, np.ones((3, 3)) + 1e-2 * np.eye(3), atol=1e-12)
    slightly = torch.diag(torch.tensor([1.0, 1.0, -0.05]))
    assert factorise(slightly, damping=1e-2)[1] == pytest.approx(0.1 * 1.95 / 3)
    with pytest.raises(WorkbenchError, match=r"not, even with 0\.0001 of its mean diagonal"):
        factorise(-torch.eye(2))
    with pytest.raises(WorkbenchError, match="square matrix; got shape \\(2, 3\\)"):
        inverse(torch.ones(2, 3))
    with pytest.raises(WorkbenchError, match="finite matrix"):
        inverse(torch.full((2, 2), torch.nan))


def test_a_hessian_refuses_what_it_cannot_use() -> None:
    with pytest.raises(WorkbenchError, match="at least 1 input; got 0"):
        Hessian(0)
    hessian = Hessian(3)
    with pytest.raises(WorkbenchError, match="at least one sample"):
        hessian.damped(0.1)
    with pytest.raises(WorkbenchError, match=r"shape \(n, 3\); got \(3,\)"):
        hessian.add(torch.ones(3))
    with pytest.raises(WorkbenchError, match="finite inputs"):
        hessian.add(torch.tensor([[1.0, math.inf, 0.0]]))
    hessian.add(torch.ones(1, 3))
    with pytest.raises(WorkbenchError, match="damping of 0 or more; got -1"):
        hessian.damped(-1)


@given(SEEDS, st.integers(1, 4), st.integers(1, 5), st.integers(1, 7))
def test_energy_is_that_of_the_outputs(seed: int, out: int, width: int, samples: int) -> None:
    x, weight = randn(seed, samples, width), randn(seed + 1, out, width)
    assert energy(weight, x.T @ x) == pytest.approx(float((x @ weight.T).square().sum()))
    assert energy(0 * weight, x.T @ x) == 0


@given(
    SEEDS, st.integers(1, 4), st.integers(1, 5), st.integers(1, 5), st.integers(1, 9), st.sampled_from([1e-3, 0.1, 2])
)
def test_refit_is_ridge_regression_towards_the_prior(
    seed: int, out: int, width: int, remaining: int, samples: int, damping: float
) -> None:
    dense, new = randn(seed, width, samples), randn(seed + 1, remaining, samples)
    weight, prior = randn(seed + 2, out, width), randn(seed + 3, out, remaining)
    gram = new @ new.T / samples
    found = refit(weight, dense @ new.T / samples, gram, prior, damping)

    ridge = math.sqrt(damping * float(gram.diagonal().mean()))
    rows = np.concatenate([new.numpy().T / math.sqrt(samples), ridge * np.eye(remaining)])
    target = np.concatenate([(weight @ dense).numpy().T / math.sqrt(samples), ridge * prior.numpy().T])
    expected = np.linalg.lstsq(rows, target, rcond=None)[0].T
    np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-7)


@given(SEEDS, st.integers(1, 4), st.integers(1, 5), st.integers(1, 3))
def test_refit_without_samples_of_a_direction_keeps_the_prior_there(
    seed: int, out: int, width: int, alive: int
) -> None:
    """Inputs never seen keep their weight; with no damping, a singular gram is solved all the same."""
    dense = randn(seed, width, 20)
    new = torch.cat([randn(seed + 1, alive, 20), torch.zeros(2, 20, dtype=torch.float64)])
    weight, prior = randn(seed + 2, out, width), randn(seed + 3, out, alive + 2)
    for damping in (0.0, 0.1):
        found = refit(weight, dense @ new.T / 20, new @ new.T / 20, prior, damping)
        np.testing.assert_allclose(found[:, alive:], prior[:, alive:], atol=1e-12)
    nothing = torch.zeros(alive + 2, alive + 2, dtype=torch.float64)
    assert torch.equal(refit(weight, torch.zeros(width, alive + 2), nothing, prior, 0.1), prior)


def test_refit_keeps_the_dtype_and_refuses_other_shapes() -> None:
    weight, cross, gram, prior = torch.ones(2, 3), torch.ones(3, 4), torch.eye(4), torch.ones(2, 4)
    assert refit(weight, cross, gram, prior, 0.1).dtype == torch.float32
    with pytest.raises(WorkbenchError, match=r"cross of shape \(3, 4\); got \(4, 3\)"):
        refit(weight, cross.T, gram, prior, 0.1)
    with pytest.raises(WorkbenchError, match=r"prior of shape \(2, 4\); got \(2, 3\)"):
        refit(weight, cross, gram, weight, 0.1)
    with pytest.raises(WorkbenchError, match="finite weights"):
        refit(weight * math.nan, cross, gram, prior, 0.1)
    with pytest.raises(WorkbenchError, match="damping"):
        refit(weight, cross, gram, prior, -0.1)
