"""State of one layer while its inputs are removed: H^-1 and the adjusted weight, updated at each removal.

OBS's step (Hassibi & Stork 1993) for groups of inputs S, as in ZipLM (arXiv 2302.04089, section 3):
W <- W - W_S (Hinv_SS)^-1 Hinv_S: and Hinv <- Hinv - Hinv_:S (Hinv_SS)^-1 Hinv_S:.
"""

from __future__ import annotations

import torch
from torch import Tensor

from edge_sdk.errors import WorkbenchError
from edge_sdk.workbench.specialize.hessian import factorise

THIN = 1e-5
"""Smallest pivot, relative to its value at the last inversion, that float32 (rounding 6e-8) still resolves."""


class LayerState:
    """One consumer's running state: H^-1 and the adjusted weight over the remaining inputs.

    `_inverse (n, n)` and `_weight (n, out)`, transposed for fast gathers, may still hold removed inputs, which
    are not read; `_at` gives the position of an original input in them. `_diagonal (n,)` is H^-1's as it was
    when last computed anew.
    """

    def __init__(self, weight: Tensor, hessian: Tensor, columns: Tensor, dtype: torch.dtype) -> None:
        """Invert the Hessian; arguments as in `Consumer`.

        Raises:
            WorkbenchError: the Hessian has no inverse.
        """
        self._original = weight.detach()
        self._device = weight.device
        self._columns = columns.to(self._device, torch.int64)
        self._hessian = hessian.to(self._device, torch.float64)
        self._dtype = dtype
        factor, added = factorise(self._hessian)
        if added:
            self._hessian = self._hessian.clone()
            self._hessian.diagonal().add_(added)
        self._target = self._hessian @ self._original.double().T
        self._energy = float((self._target * self._original.double().T).sum()) or 1.0
        self._live = torch.ones(len(self._hessian), dtype=torch.bool, device=self._device)
        self._start(factor, self._original.double().T)

    def scores(self, channels: Tensor) -> Tensor:
        """OBS error of each channel as a share of the energy, `float64 (n,)` on the CPU."""
        columns = self._columns[channels.to(self._device)]
        factor = self._factors(columns)
        weight = self._weight[self._at[columns]]
        gram: Tensor = (weight @ weight.mT).double()
        return _errors(factor, gram).cpu() / self._energy

    def remove(self, channels: Tensor) -> Tensor:
        """Compensate and downdate for channels `(n,)` jointly.

        Returns:
            What each adds to the error once those before it are gone, as a share of the energy, `float64 (n,)`.
        """
        columns = self._columns[channels.to(self._device)]
        factor = self._factors(columns.reshape(1, -1))[0]
        at = self._at[columns.reshape(-1)]
        rows = torch.linalg.solve_triangular(factor, self._inverse[at].double(), upper=False).to(self._dtype)
        spread = torch.linalg.solve_triangular(factor, self._weight[at].double(), upper=False)
        self._inverse.addmm_(rows.T, rows, alpha=-1)
        self._weight.addmm_(rows.T, spread.to(self._dtype), alpha=-1)
        self._live[columns] = False
        left = int(self._live.sum())
        if left <= self._inverted / 2:
            self._refresh()
        elif left <= len(self._inverse) * 7 / 8:
            self._compact()
        added: Tensor = spread.square().sum(1).reshape(columns.shape).sum(1).cpu()
        return added / self._energy

    def part(self, channels: Tensor) -> PartState:
        """The part of the state that scores and removals among these channels need."""
        columns = self._columns[channels.to(self._device)]
        self._factors(columns.reshape(1, -1))
        at = self._at[columns.reshape(-1)]
        weight = self._weight[at].double()
        return PartState(
            _block(self._inverse, at).double().cpu(), (weight @ weight.T).cpu(), columns.shape[1], self._energy
        )

    def solved(self) -> Tensor:
        """The optimal weight `(out, in)` for the inputs that are left."""
        if bool(self._live.all()):
            return self._original.clone()
        new = torch.zeros_like(self._original)
        new[:, self._live] = self._solve()[1].T.to(new.dtype)
        return new

    def _factors(self, columns: Tensor) -> Tensor:
        """Cholesky factors `float64 (n, b, b)` of Hinv's blocks at columns `(n, b)`."""
        for attempt in range(2):
            at = self._at[columns]
            factor: Tensor
            factor, info = torch.linalg.cholesky_ex(self._inverse[at[:, :, None], at[:, None, :]].double())
            thin = self._dtype == torch.float32 and bool(
                (factor.diagonal(dim1=1, dim2=2).square() < THIN * self._diagonal[at]).any()
            )
            if not (thin or bool(info.any())):
                return factor
            if attempt == 0:
                self._dtype = torch.float64
                self._refresh()
        raise WorkbenchError(
            "expected a Hessian that can be inverted in float64; got a singular one: raise the damping"
        )

    def _solve(self) -> tuple[Tensor, Tensor]:
        """Factor of H_RR and the optimal weight, transposed `float64 (left, out)`."""
        factor, _ = factorise(_block(self._hessian, self._live.nonzero().squeeze(1)))
        return factor, torch.cholesky_solve(self._target[self._live], factor)

    def _refresh(self) -> None:
        """Recompute the state from the original weight, without accumulated rounding errors."""
        self._start(*self._solve())

    def _start(self, factor: Tensor, weight: Tensor) -> None:
        self._inverse = torch.cholesky_inverse(factor).to(self._dtype)
        self._diagonal = self._inverse.diagonal().double()
        self._weight = weight.to(self._dtype, copy=True, memory_format=torch.contiguous_format)
        self._inverted = len(factor)
        self._place()

    def _compact(self) -> None:
        """Drop removed inputs, so that later updates are smaller."""
        at = self._at[self._live]
        self._inverse = _block(self._inverse, at)
        self._diagonal = self._diagonal[at]
        self._weight = self._weight[at]
        self._place()

    def _place(self) -> None:
        self._at = self._live.cumsum(0) - 1


class PartState:
    """A few channels of a layer: their block of Hinv and W_S^T W_S `(n * block, n * block)`, all that scores need."""

    def __init__(self, inverse: Tensor, gram: Tensor, block: int, whole: float) -> None:
        self._inverse, self._gram, self._block, self._energy = inverse, gram, block, whole

    def scores(self, channels: Tensor) -> Tensor:
        """OBS error of each channel as a share of the energy, `float64 (n,)`."""
        at = channels[:, None] * self._block + torch.arange(self._block)
        rows, columns = at[:, :, None], at[:, None, :]
        return _errors(torch.linalg.cholesky_ex(self._inverse[rows, columns])[0], self._gram[rows, columns]) / (
            self._energy
        )

    def remove(self, channel: int) -> None:
        """Compensate and downdate: W <- W P and Hinv <- Hinv P with P = I - E_S (Hinv_SS)^-1 Hinv_S:."""
        gone = slice(channel * self._block, (channel + 1) * self._block)
        factor = torch.linalg.cholesky_ex(self._inverse[gone, gone])[0]
        taken = torch.cholesky_solve(self._inverse[gone], factor)
        self._inverse = self._inverse - self._inverse[:, gone] @ taken
        half = self._gram - self._gram[:, gone] @ taken
        self._gram = half - taken.T @ half[gone]


def _block(matrix: Tensor, at: Tensor) -> Tensor:
    return matrix.index_select(0, at).index_select(1, at)


def _errors(factor: Tensor, gram: Tensor) -> Tensor:
    """tr(W_S (Hinv_SS)^-1 W_S^T) of each block, given Hinv_SS's factor and W_S^T W_S, both `float64 (n, b, b)`."""
    return torch.cholesky_solve(gram, factor).diagonal(dim1=1, dim2=2).sum(1).clamp_min(0.0)
