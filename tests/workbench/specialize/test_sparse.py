"""Sparse and quantised weights against the same sweep with every inverse taken anew."""

from __future__ import annotations

from collections.abc import Callable

import little_task
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.errors import WorkbenchError
from edge_sdk.workbench.specialize.hessian import Hessian
from edge_sdk.workbench.specialize.sparse import Grid, prune_n_of_m, prune_unstructured, quantize

Array = np.ndarray


def layer(seed: int, out: int, width: int, samples: int, damping: float = 0.02) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    hessian = Hessian(width)
    mixed = torch.randn(width, width, generator=generator, dtype=torch.float64) + torch.eye(width)
    hessian.add(torch.randn(samples, width, generator=generator, dtype=torch.float64) @ mixed)
    return torch.randn(out, width, generator=generator, dtype=torch.float64), hessian.damped(damping)


LAYERS = st.builds(layer, st.integers(0, 10**6), st.integers(1, 4), st.integers(1, 12), st.integers(1, 20))
GRIDS = st.booleans()


def sweep(
    weight: Array, hessian: Array, stride: int, choose: Callable[[Array], Array], scale: Array | None
) -> tuple[Array, Array]:
    """OBS for one input after the other, only later inputs free: [H_j:,j:]^-1 is computed from nothing each time."""
    work, mask = weight.copy(), np.ones(weight.shape, bool)
    inverses = [np.linalg.inv(hessian[j:, j:]) for j in range(weight.shape[1])]
    for j, later in enumerate(inverses):
        if j % stride == 0:
            diagonal = np.array([one[0, 0] for one in inverses[j : j + stride]])
            mask[:, j : j + stride] = choose(work[:, j : j + stride] ** 2 / diagonal)
        new = work[:, j] * mask[:, j]
        if scale is not None:
            new = np.clip(np.round(new / scale), -127, 127) * scale
        work[:, j + 1 :] -= np.outer((work[:, j] - new) / later[0, 0], later[0, 1:])
        work[:, j] = new
    return work, mask


def check(found: tuple[torch.Tensor, torch.Tensor], expected: tuple[Array, Array]) -> None:
    np.testing.assert_array_equal(found[1], expected[1])
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-6, atol=1e-7)


@given(LAYERS, st.floats(0, 1), st.integers(1, 14), GRIDS)
def test_unstructured_is_the_sweep(
    made: tuple[torch.Tensor, torch.Tensor], sparsity: float, block: int, rounded: bool
) -> None:
    weight, hessian = made
    grid = Grid.of(weight) if rounded else None
    zeros, seen = 0, 0

    def choose(cost: Array) -> Array:
        nonlocal zeros, seen
        seen += cost.size
        count = round(sparsity * seen) - zeros
        zeros += count
        keep = np.ones(cost.size, bool)
        keep[np.argsort(cost, axis=None)[:count]] = False
        return keep.reshape(cost.shape)

    found = prune_unstructured(weight, hessian, sparsity, block=block, grid=grid)
    check(found, sweep(weight.numpy(), hessian.numpy(), block, choose, grid.scale.numpy() if grid else None))
    assert int((~found[1]).sum()) == round(sparsity * weight.numel())
    assert not bool(found[0][~found[1]].any())


@given(st.integers(0, 10**6), st.integers(1, 4), st.integers(1, 4), st.data(), GRIDS)
def test_n_of_m_is_the_sweep_and_blocks_change_nothing(
    seed: int, groups: int, m: int, data: st.DataObject, rounded: bool
) -> None:
    n = data.draw(st.integers(0, m))
    weight, hessian = layer(seed, 3, groups * m, data.draw(st.integers(1, 20)))
    grid = Grid.of(weight) if rounded else None

    def choose(cost: Array) -> Array:
        keep = np.ones(cost.shape, bool)
        np.put_along_axis(keep, np.argsort(cost, axis=1)[:, : m - n], False, axis=1)
        return keep

    found = prune_n_of_m(weight, hessian, n, m, block=data.draw(st.integers(1, 14)), grid=grid)
    check(found, sweep(weight.numpy(), hessian.numpy(), m, choose, grid.scale.numpy() if grid else None))
    assert bool((found[1].reshape(3, groups, m).sum(2) == n).all())
    assert not bool(found[0][~found[1]].any())


@given(LAYERS, st.integers(1, 14))
def test_quantize_is_the_sweep_without_zeros(made: tuple[torch.Tensor, torch.Tensor], block: int) -> None:
    weight, hessian = made
    found = quantize(weight, hessian, block=block)
    expected, _ = sweep(
        weight.numpy(), hessian.numpy(), 1, lambda cost: np.ones(cost.shape, bool), Grid.of(weight).scale.numpy()
    )
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-7)


@given(LAYERS)
def test_one_zero_in_the_first_input_is_exact_obs(made: tuple[torch.Tensor, torch.Tensor]) -> None:
    """All other inputs come later, so the sweep is free to do the best: delta w = - w_0 / [Hinv]_00 Hinv_0: ."""
    weight, hessian = made[0][:1].clone(), made[1]
    weight += weight.sign()
    weight[0, 0] *= 1e-4
    found, mask = prune_unstructured(weight, hessian, 1 / weight.shape[1])
    assert mask.sum() == weight.shape[1] - 1 and not bool(mask[0, 0])
    full = torch.linalg.inv(hessian)
    expected = weight - weight[0, 0] / full[0, 0] * full[0]
    np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-10)
    wrong = weight - found
    assert float(wrong @ hessian @ wrong.T) == pytest.approx(float(weight[0, 0] ** 2 / full[0, 0]))


@given(LAYERS, st.sampled_from([torch.float32, torch.float64]), st.floats(0, 1))
def test_rounded_weights_are_exact_multiples(
    made: tuple[torch.Tensor, torch.Tensor], dtype: torch.dtype, sparsity: float
) -> None:
    weight, hessian = made[0].to(dtype), made[1]
    weight[0] = 0
    grid = Grid.of(weight)
    for new in (
        quantize(weight, hessian),
        prune_unstructured(weight, hessian, sparsity, grid=grid)[0],
        prune_n_of_m(weight, hessian, 1, 1, grid=grid)[0],
    ):
        assert new.dtype == dtype
        codes = grid.codes(new)
        assert torch.equal(codes, codes.round()) and int(codes.abs().max()) <= 127
        assert torch.equal(new, codes.to(dtype) * grid.scale[:, None])
        assert not bool(new[0].any())


def test_the_grid_just_holds_the_weight() -> None:
    grid = Grid.of(torch.tensor([[1.0, -254.0], [0.0, 0.0]]))
    assert grid.scale.tolist() == [2, 1]
    assert Grid.of(torch.tensor([[127.0], [1e-4], [0.0]]), least=0.25).scale.tolist() == [1, 0.25, 0.25]
    assert grid.codes(torch.tensor([[3.1, -400.0], [0.4, 0.6]])).tolist() == [[2, -127], [0, 1]]


@pytest.mark.parametrize("samples", [5, 16, 100])
def test_compensation_beats_plain_pruning_and_rounding(samples: int) -> None:
    ours, plain = np.zeros((2, 3)), np.zeros((2, 3))
    for seed in range(30):
        weight, hessian = layer(seed, 8, 16, samples)
        coarse = Grid(Grid.of(weight).scale * 16)
        size = weight.abs()
        rank = size.flatten().argsort().argsort().reshape(size.shape)
        half = weight * (rank >= size.numel() // 2)
        groups = size.reshape(8, 4, 4)
        two = weight * (groups.argsort(2).argsort(2) >= 2).reshape(size.shape)
        nearest = coarse.codes(weight) * coarse.scale[:, None]
        pairs = (
            (prune_unstructured(weight, hessian, 0.5)[0], half),
            (prune_n_of_m(weight, hessian, 2, 4)[0], two),
            (quantize(weight, hessian, grid=coarse), nearest),
        )
        for k, (new, naive) in enumerate(pairs):
            ours[0, k] += little_task.output_error(weight, new, hessian)
            plain[0, k] += little_task.output_error(weight, naive, hessian)
    assert bool((ours[0] < 0.9 * plain[0]).all())


@given(LAYERS)
def test_no_sparsity_changes_nothing_and_full_sparsity_leaves_nothing(
    made: tuple[torch.Tensor, torch.Tensor],
) -> None:
    weight, hessian = made
    new, mask = prune_unstructured(weight, hessian, 0.0)
    assert torch.equal(new, weight) and bool(mask.all())
    new, mask = prune_unstructured(weight, hessian, 1.0)
    assert not bool(new.any()) and not bool(mask.any())


def test_what_does_not_fit_is_refused() -> None:
    weight, hessian = layer(0, 2, 6, 10)
    with pytest.raises(WorkbenchError, match="multiple of 4; got 6"):
        prune_n_of_m(weight, hessian, 2, 4)
    with pytest.raises(WorkbenchError, match="got 4 of 3"):
        prune_n_of_m(weight, hessian, 4, 3)
    with pytest.raises(WorkbenchError, match=r"sparsity from 0 to 1; got 1\.5"):
        prune_unstructured(weight, hessian, 1.5)
    for call in (prune_unstructured, prune_n_of_m):
        with pytest.raises(WorkbenchError, match="block of at least 1 input; got 0"):
            call(weight, hessian, *((0.5,) if call is prune_unstructured else (1, 2)), block=0)
    with pytest.raises(WorkbenchError, match="grid of 2 scales above 0; got \\(3,\\)"):
        quantize(weight, hessian, grid=Grid(torch.ones(3)))
    with pytest.raises(WorkbenchError, match="grid of 2 scales"):
        quantize(weight, hessian, grid=Grid(torch.zeros(2)))
    with pytest.raises(WorkbenchError, match=r"Hessian of shape \(6, 6\)"):
        quantize(weight, hessian[1:])
    with pytest.raises(WorkbenchError, match=r"weight of shape \(out, in\); got \(6,\)"):
        quantize(weight[0], hessian)
