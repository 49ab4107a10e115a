"""The structured optimal brain surgeon against brute force."""

from __future__ import annotations

import little_task
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk.errors import WorkbenchError
from edge_sdk.workbench.specialize.hessian import Hessian
from edge_sdk.workbench.specialize.obs import Consumer, GroupPruner

Floats = np.ndarray


def consumer(
    seed: int, channels: int, block: int, *, out: int = 3, spare: int = 0, samples: int = 6, damping: float = 0.05
) -> Consumer:
    """A layer whose columns are shuffled, some of them free of channels, with a Hessian of any rank before damping."""
    generator = torch.Generator().manual_seed(seed)
    width = channels * block + spare
    hessian = Hessian(width)
    hessian.add(torch.randn(samples, width, generator=generator, dtype=torch.float64))
    weight = torch.randn(out, width, generator=generator, dtype=torch.float64)
    columns = torch.randperm(width, generator=generator)[: channels * block].reshape(channels, block)
    return Consumer(weight, hessian.damped(damping), columns)


@st.composite
def layers(draw: st.DrawFn, most: int = 5) -> list[Consumer]:
    channels = draw(st.integers(1, most))
    return [
        consumer(
            draw(st.integers(0, 10**6)),
            channels,
            draw(st.integers(1, 3)),
            out=draw(st.integers(1, 4)),
            spare=draw(st.integers(0, 2)),
            samples=draw(st.integers(1, 20)),
        )
        for _ in range(draw(st.integers(1, 2)))
    ]


def optimum(one: Consumer, removed: list[int]) -> Floats:
    """W H_:R (H_RR)^-1 on the inputs that are left, 0 elsewhere."""
    weight, hessian = one.weight.double().numpy(), one.hessian.numpy()
    left = np.setdiff1d(np.arange(weight.shape[1]), one.columns[removed].flatten().numpy())
    new = np.zeros_like(weight)
    if len(left):
        new[:, left] = np.linalg.solve(hessian[np.ix_(left, left)], (weight @ hessian[:, left]).T).T
    return new


def cost(consumers: list[Consumer], removed: list[int]) -> float:
    total = 0.0
    for one in consumers:
        weight, hessian = one.weight.double().numpy(), one.hessian.numpy()
        wrong = weight - optimum(one, removed)
        total += np.trace(wrong @ hessian @ wrong.T) / np.trace(weight @ hessian @ weight.T)
    return float(total)


@given(layers(), st.data(), st.sampled_from([(torch.float64, 1e-8), (torch.float32, 1e-4)]))
def test_scores_are_what_the_best_compensation_cannot_mend(
    consumers: list[Consumer], data: st.DataObject, precision: tuple[torch.dtype, float]
) -> None:
    dtype, tolerance = precision
    channels = len(consumers[0].columns)
    gone = data.draw(st.lists(st.integers(0, channels - 1), unique=True))
    pruner = GroupPruner(consumers, dtype=dtype)
    pruner.remove(gone)
    scores = pruner.scores()
    assert scores.shape == (channels,) and scores.dtype == torch.float64
    for channel in range(channels):
        if channel in gone:
            assert scores[channel] == torch.inf
        else:
            expected = cost(consumers, [*gone, channel]) - cost(consumers, gone)
            assert float(scores[channel]) == pytest.approx(expected, abs=tolerance)


@given(layers(), st.data(), st.sampled_from([(torch.float64, 1e-8), (torch.float32, 1e-4)]))
def test_removal_of_several_is_jointly_optimal(
    consumers: list[Consumer], data: st.DataObject, precision: tuple[torch.dtype, float]
) -> None:
    dtype, tolerance = precision
    channels = len(consumers[0].columns)
    order = data.draw(st.permutations(range(channels)))
    cuts = sorted(data.draw(st.lists(st.integers(0, channels), min_size=1, max_size=3)))
    pruner = GroupPruner(consumers, dtype=dtype)
    before = 0
    for cut in cuts:
        errors = pruner.remove(order[before:cut])
        expected = [cost(consumers, order[: k + 1]) for k in range(before, cut)]
        np.testing.assert_allclose(errors, expected, atol=tolerance)
        before = cut
    removed = order[:before]
    assert pruner.error == pytest.approx(cost(consumers, removed), abs=tolerance)
    assert (~pruner.remaining).nonzero().flatten().tolist() == sorted(removed)
    for one, new in zip(consumers, pruner.weights(), strict=True):
        np.testing.assert_allclose(new, optimum(one, removed), rtol=1e-6, atol=1e-8)


@given(layers(), st.data())
def test_order_is_greedy_and_its_curve_true(consumers: list[Consumer], data: st.DataObject) -> None:
    """One at a time, or in a batch whose candidates are all channels, each step takes the cheapest."""
    channels = len(consumers[0].columns)
    batch = data.draw(st.sampled_from([1, (channels + 1) // 2, channels]))
    down_to = data.draw(st.integers(0, channels))
    first = data.draw(st.lists(st.integers(0, channels - 1), unique=True, max_size=channels - down_to))
    pruner = GroupPruner(consumers)
    pruner.remove(first)
    curve = pruner.order(batch, down_to)
    assert int(pruner.remaining.sum()) == down_to
    removed = curve.removed.tolist()
    assert sorted([*first, *removed]) == (~pruner.remaining).nonzero().flatten().tolist()
    for k, channel in enumerate(removed):
        gone = [*first, *removed[:k]]
        costs = {c: cost(consumers, [*gone, c]) for c in range(channels) if c not in gone}
        assert costs[channel] <= min(costs.values()) + 1e-8
        assert float(curve.errors[k]) == pytest.approx(costs[channel], abs=1e-8)
    assert bool((curve.errors.diff() >= 0).all())


@settings(max_examples=20)
@given(st.integers(0, 10**6), st.integers(1, 9), st.integers(1, 40), st.sampled_from([torch.float32, torch.float64]))
def test_a_long_order_stays_exact(seed: int, batch: int, samples: int, dtype: torch.dtype) -> None:
    """Over many updates, compactions and fresh inversions, the error is that of the weights."""
    consumers = [
        consumer(seed, 40, 4, out=6, samples=samples, damping=1e-3),
        consumer(seed + 1, 40, 1, out=2, spare=3, samples=samples, damping=1e-3),
    ]
    pruner = GroupPruner(consumers, dtype=dtype)
    for down_to in (35, 22, 21, 7, 1):
        pruner.order(batch, down_to)
        true = sum(
            little_task.output_error(one.weight, new, one.hessian)
            for one, new in zip(consumers, pruner.weights(), strict=True)
        )
        assert pruner.error == pytest.approx(true, rel=1e-3 if dtype == torch.float32 else 1e-8)


@settings(max_examples=10)
@given(st.integers(0, 10**6), st.floats(0, 5))
def test_float32_updates_choose_as_float64_does(seed: int, steep: float) -> None:
    """Correlated inputs, fewer samples than inputs, little damping."""
    generator = torch.Generator().manual_seed(seed)
    basis = torch.randn(100, 30, generator=generator) * torch.linspace(0, -steep, 30).exp()
    x = torch.relu(basis @ torch.randn(30, 240, generator=generator))
    hessian = Hessian(240)
    hessian.add(x)
    layer = Consumer(torch.randn(16, 240, generator=generator), hessian.damped(1e-4), torch.arange(240).reshape(60, 4))
    exact, fast = (GroupPruner([layer], dtype=dtype).order(4, 12) for dtype in (torch.float64, torch.float32))
    np.testing.assert_allclose(fast.errors, exact.errors, rtol=2e-2, atol=1e-6)
    assert float(fast.errors[-1]) == pytest.approx(float(exact.errors[-1]), rel=1e-2)


@settings(max_examples=20)
@given(st.integers(0, 10**6), st.integers(1, 8), st.integers(1, 3))
def test_where_float32_does_not_do_float64_takes_over(seed: int, samples: int, block: int) -> None:
    """Hardly damped and of low rank: rounded to float32, the inverse is not positive definite."""
    one = consumer(seed, 12, block, samples=samples, damping=1e-9)
    pruner = GroupPruner([one], dtype=torch.float32)
    for down_to in (10, 5, 2):
        pruner.order(2, down_to)
        assert pruner.error == pytest.approx(
            little_task.output_error(one.weight, pruner.weights()[0], one.hessian), rel=0.05, abs=1e-4
        )


def test_of_two_channels_that_stand_in_for_each_other_one_stays() -> None:
    """Either alone is free to remove, both are not: a batch of two takes one of them and then the next cheapest."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(200, 6, generator=generator, dtype=torch.float64)
    x[:, 1] = x[:, 0]
    hessian = Hessian(6)
    hessian.add(x)
    weight = torch.tensor([[5.0, 5.0, 3.0, 3.0, 3.0, 0.1]], dtype=torch.float64)
    pruner = GroupPruner([Consumer(weight, hessian.damped(1e-6), torch.arange(6).reshape(6, 1))])
    curve = pruner.order(2, 4)
    assert curve.removed[0] in (0, 1) and curve.removed[1] == 5
    assert float(curve.errors[-1]) < 1e-3
    assert float(pruner.weights()[0][0, :2].sum()) == pytest.approx(10, abs=0.1)


def test_all_channels_may_go() -> None:
    consumers = [consumer(0, 4, 2), consumer(1, 4, 1)]
    pruner = GroupPruner(consumers)
    assert float(pruner.order(3, 0).errors[-1]) == pytest.approx(2)
    assert not bool(pruner.remaining.any()) and bool((pruner.scores() == torch.inf).all())
    assert all(not bool(new.any()) for new in pruner.weights())


def test_nothing_removed_changes_nothing() -> None:
    one = consumer(0, 3, 2)
    pruner = GroupPruner([one])
    assert len(pruner.remove([])) == 0 and len(pruner.order(1, 3).removed) == 0 and pruner.error == 0
    assert torch.equal(pruner.weights()[0], one.weight)


def test_weights_have_the_layers_dtype_and_removed_columns_are_zero() -> None:
    one = consumer(0, 4, 2)
    pruner = GroupPruner([Consumer(one.weight.float(), one.hessian, one.columns)])
    pruner.remove(torch.tensor([2, 0]))
    new = pruner.weights()[0]
    assert new.dtype == torch.float32
    assert not bool(new[:, one.columns[[0, 2]].flatten()].any())


def test_a_weight_of_zeros_costs_nothing() -> None:
    one = consumer(0, 4, 2)
    assert GroupPruner([Consumer(0 * one.weight, one.hessian, one.columns)]).scores().tolist() == [0, 0, 0, 0]


def test_a_singular_hessian_is_damped() -> None:
    one = consumer(0, 4, 2, samples=2, damping=0)
    pruner = GroupPruner([one])
    pruner.order(1, 2)
    assert 0 <= pruner.error <= 1 + 1e-6 and bool(torch.isfinite(pruner.weights()[0]).all())


def test_what_does_not_fit_is_refused() -> None:
    one = consumer(0, 3, 2)
    with pytest.raises(WorkbenchError, match=r"same number of channels; got \[3, 4\]"):
        GroupPruner([one, consumer(0, 4, 2)])
    with pytest.raises(WorkbenchError, match=r"same number of channels; got \[\]"):
        GroupPruner([])
    with pytest.raises(WorkbenchError, match=r"float32 or float64; got torch\.float16"):
        GroupPruner([one], dtype=torch.float16)
    with pytest.raises(WorkbenchError, match=r"Hessian of shape \(6, 6\); got \(5, 5\)"):
        Consumer(one.weight, one.hessian[1:, 1:], one.columns)
    with pytest.raises(WorkbenchError, match="columns from 0 to 5; got 1 to 6"):
        Consumer(one.weight, one.hessian, torch.arange(1, 7).reshape(3, 2))
    with pytest.raises(WorkbenchError, match="a column twice"):
        Consumer(one.weight, one.hessian, torch.zeros(2, 1, dtype=torch.int64))
    with pytest.raises(WorkbenchError, match="integer columns"):
        Consumer(one.weight, one.hessian, torch.zeros(2, 1))
    with pytest.raises(WorkbenchError, match="finite weight"):
        Consumer(one.weight * torch.nan, one.hessian, one.columns)
    pruner = GroupPruner([one])
    pruner.remove([1])
    for wrong in ([1], [0, 0], [3], [-1]):
        with pytest.raises(WorkbenchError, match="distinct channels that remain, of 0 to 2"):
            pruner.remove(wrong)
    for batch, down_to in ((0, 1), (1, 3), (1, -1)):
        with pytest.raises(WorkbenchError, match="target of 0 to 2 channels"):
            pruner.order(batch, down_to)
