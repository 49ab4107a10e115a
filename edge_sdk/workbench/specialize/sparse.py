"""Zeros and int8 steps in a weight, by one sweep over the inputs that passes each error on to the later inputs.

SparseGPT (arXiv 2301.00774, section 3) and GPTQ (arXiv 2210.17323, section 3) are the same sweep: column by column a
weight is set to zero or rounded, and OBS adjusts the columns not yet reached.
Done in one sweep, rounding takes the zeros into account (SparseGPT, section 3.5).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from edge_sdk.errors import WorkbenchError
from edge_sdk.workbench.specialize.hessian import check_layer, factorise

LEVELS = 127


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """Symmetric int8 steps, one size for each output channel: a weight is q * scale with |q| <= 127.

    Attributes:
        scale: floats `(out,)`, above 0.
    """

    scale: Tensor

    @classmethod
    def of(cls, weight: Tensor, *, least: float = 0.0) -> Grid:
        """The grid that just holds a weight: max|w| / 127 of each row, 1 for a row of zeros.

        Args:
            weight: floats `(out, in)`.
            least: the smallest step allowed, for runtimes that have one (XNNPACK's quantiser: 2**-12).
        """
        scale = (weight.detach().abs().amax(1) / LEVELS).clamp_min(least)
        return cls(torch.where(scale > 0, scale, torch.ones_like(scale)))

    def codes(self, weight: Tensor) -> Tensor:
        """Nearest integers q, `float64 (out, in)`, of weights `(out, in)`."""
        return (weight.double() / self.scale.double()[:, None]).round().clamp(-LEVELS, LEVELS)


def prune_unstructured(
    weight: Tensor, hessian: Tensor, sparsity: float, *, block: int = 128, grid: Grid | None = None
) -> tuple[Tensor, Tensor]:
    """Set a share of a weight to zero where it costs least, and adjust the other entries.

    For each block of inputs, the zeros are the entries with the lowest w^2 / [Hinv]_jj, Hinv being that of the inputs
    from j on (SparseGPT, arXiv 2301.00774, section 3.2 and algorithm 1).

    Args:
        weight: floats `(out, in)`.
        hessian: floats `(in, in)`, damped.
        sparsity: share of zeros, 0 to 1; met exactly, up to one entry, over the blocks so far.
        block: inputs for which the mask is chosen at once.
        grid: round what remains to this grid in the same sweep, for instance `Grid.of(weight)`.

    Returns:
        The new weight, of the shape and dtype of the old one, and a `bool` mask of its shape, True where an entry may
        differ from 0.

    Raises:
        WorkbenchError: shapes that do not fit, a sparsity or block out of range, or a Hessian without inverse.
    """
    if not 0 <= sparsity <= 1:
        raise WorkbenchError(f"expected a sparsity from 0 to 1; got {sparsity}")
    zeros = 0

    def choose(cost: Tensor, end: int) -> Tensor:
        nonlocal zeros
        count = min(max(round(sparsity * len(cost) * end) - zeros, 0), cost.numel())
        zeros += count
        keep = torch.ones(cost.numel(), dtype=torch.bool, device=cost.device)
        keep[cost.flatten().topk(count, largest=False).indices] = False
        return keep.reshape(cost.shape)

    return _sweep(weight, hessian, choose, stride=block, block=block, grid=grid)


def prune_n_of_m(
    weight: Tensor, hessian: Tensor, n: int, m: int, *, block: int = 128, grid: Grid | None = None
) -> tuple[Tensor, Tensor]:
    """Keep n of every m consecutive inputs of each output and set the m - n others to zero (2:4 keeps two of four).

    As `prune_unstructured`, with the mask chosen for m inputs at a time (SparseGPT, arXiv 2301.00774, section 3.3).

    Args:
        weight: floats `(out, in)`, `in` a multiple of m.
        hessian: floats `(in, in)`, damped.
        n: entries that stay, 0 to m.
        m: entries of a group.
        block: inputs between two updates of all that follow, rounded to a multiple of m; affects speed only.
        grid: round what remains to this grid in the same sweep.

    Returns:
        As `prune_unstructured`.

    Raises:
        WorkbenchError: as `prune_unstructured`, or `in` that is not a multiple of m.
    """
    if m < 1 or not 0 <= n <= m:
        raise WorkbenchError(f"expected n of m with m of at least 1 and n from 0 to m; got {n} of {m}")
    if weight.ndim == 2 and weight.shape[1] % m:
        raise WorkbenchError(f"expected a number of inputs that is a multiple of {m}; got {weight.shape[1]}")

    def choose(cost: Tensor, end: int) -> Tensor:
        keep = torch.ones(cost.shape, dtype=torch.bool, device=cost.device)
        return keep.scatter_(1, cost.topk(m - n, dim=1, largest=False).indices, False)

    return _sweep(weight, hessian, choose, stride=m, block=max(block // m, min(block, 1)) * m, grid=grid)


def quantize(weight: Tensor, hessian: Tensor, *, block: int = 128, grid: Grid | None = None) -> Tensor:
    """Round a weight to an int8 grid, each column's error fed on to the next (GPTQ, arXiv 2210.17323, algorithm 1).

    Args:
        weight: floats `(out, in)`.
        hessian: floats `(in, in)`, damped.
        block: inputs between two updates of all that follow; affects speed only.
        grid: default `Grid.of(weight)`.

    Returns:
        The new weight, of the shape and dtype of the old one: exact multiples of the grid's scale.

    Raises:
        WorkbenchError: as `prune_unstructured`.
    """

    def choose(cost: Tensor, end: int) -> Tensor:
        return torch.ones(cost.shape, dtype=torch.bool, device=cost.device)

    check_layer(weight, hessian)
    return _sweep(weight, hessian, choose, stride=block, block=block, grid=grid or Grid.of(weight))[0]


def _sweep(
    weight: Tensor,
    hessian: Tensor,
    choose: Callable[[Tensor, int], Tensor],
    *,
    stride: int,
    block: int,
    grid: Grid | None,
) -> tuple[Tensor, Tensor]:
    """Go over the inputs once; `choose(cost (out, s), end)` says every `stride` inputs which of the next stay."""
    check_layer(weight, hessian)
    out, inputs = weight.shape
    if block < 1:
        raise WorkbenchError(f"expected a block of at least 1 input; got {block}")
    if grid is not None and (tuple(grid.scale.shape) != (out,) or not bool((grid.scale > 0).all())):
        raise WorkbenchError(f"expected a grid of {out} scales above 0; got {tuple(grid.scale.shape)}")
    # One input a row: the loop below reads and writes rows.
    work = weight.detach().double().T.clone(memory_format=torch.contiguous_format)
    scale = None if grid is None else grid.scale.double()
    mask = torch.ones(inputs, out, dtype=torch.bool, device=weight.device)
    upper = _inverse_factor(hessian.to(weight.device))
    diagonal = upper.diagonal()
    for start in range(0, inputs, block):
        end = min(start + block, inputs)
        wrong = torch.zeros(end - start, out, dtype=torch.float64, device=weight.device)
        for j in range(start, end):
            if (j - start) % stride == 0:
                until = min(j + stride, end)
                mask[j:until] = choose((work[j:until].T / diagonal[j:until]).square(), until).T
            new = work[j] * mask[j]
            if scale is not None:
                new = (new / scale).round_().clamp_(-LEVELS, LEVELS).mul_(scale)
            wrong[j - start] = (work[j] - new) / diagonal[j]
            work[j + 1 : end].addr_(upper[j, j + 1 : end], wrong[j - start], alpha=-1)
            work[j] = new
        work[end:].addmm_(upper[start:end, end:].T, wrong, alpha=-1)
    work, mask = work.T, mask.T
    if grid is None:
        return work.to(weight.dtype).contiguous(), mask.contiguous()
    # The product is taken in the weight's own dtype, so that whoever holds the scale finds the same integers.
    new = grid.codes(work).to(weight.dtype) * grid.scale.to(weight.dtype)[:, None]
    return new.contiguous(), mask.contiguous()


def _inverse_factor(hessian: Tensor) -> Tensor:
    """Upper U with Hinv = U^T U, `float64 (in, in)`: U_jj^2 is [Hinv]_jj once the inputs before j are fixed.

    From the Cholesky factor of H with its inputs in reverse, so that Hinv itself is never formed.
    """
    factor, _ = factorise(hessian.flip(0, 1))
    identity = torch.eye(len(factor), dtype=torch.float64, device=factor.device)
    lower: Tensor = torch.linalg.solve_triangular(factor, identity, upper=False)
    return lower.flip(0, 1)
