"""The Hessian H = X X^T of one layer y = W x over its inputs, its inverse, and errors measured with it.

A layer has a weight `(out, in)`; a convolution's is flattened to `(out, in * k * k)` and its inputs to patches. The
squared error that a change D of the weight makes on the samples is tr(D H D^T): layer-wise compression is built on
this (Optimal Brain Compression, arXiv 2208.11580, section 3).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from edge_sdk.errors import WorkbenchError

RAISES = 3


class Hessian:
    """X X^T of a layer's inputs, summed batch by batch.

    Attributes:
        matrix: `float64 (in, in)`, the sum of x x^T over all samples so far.
        samples: how many samples it sums.
    """

    def __init__(self, width: int, *, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float64) -> None:
        """Begin with no samples.

        Args:
            width: the layer's inputs, `in`.
            device: where the sum is held.
            dtype: in which a batch is multiplied; the sum over batches is float64 in any case. float32 takes half
                the time and costs about 1e-7 of the largest eigenvalue.

        Raises:
            WorkbenchError: no inputs.
        """
        if width < 1:
            raise WorkbenchError(f"expected a layer of at least 1 input; got {width}")
        self.matrix = torch.zeros(width, width, dtype=torch.float64, device=device)
        self.samples = 0
        self._dtype = dtype

    def add(self, x: Tensor) -> None:
        """Add a batch.

        Args:
            x: floats `(n, in)`, one sample a row; n may be 0.

        Raises:
            WorkbenchError: another shape, or values that are not finite.
        """
        width = len(self.matrix)
        if x.ndim != 2 or x.shape[1] != width:
            raise WorkbenchError(f"expected inputs of shape (n, {width}); got {tuple(x.shape)}")
        if not bool(torch.isfinite(x).all()):
            raise WorkbenchError("expected finite inputs; got NaN or infinity")
        x = x.detach().to(self.matrix.device, self._dtype)
        self.matrix += x.T @ x
        self.samples += len(x)

    def damped(self, damping: float) -> Tensor:
        """H / n + damping * mean(diag(H / n)) * I, which has an inverse for any damping above 0.

        An input that was 0 in every sample has only that ridge, so removing it costs almost nothing. Without a ridge
        (damping 0, or all inputs 0) its diagonal is 1.

        Args:
            damping: share of the mean diagonal; 0.01 is usual (GPTQ, arXiv 2210.17323, section 3.3).

        Returns:
            `float64 (in, in)`, symmetric.

        Raises:
            WorkbenchError: no samples, or a damping below 0.
        """
        if not self.samples:
            raise WorkbenchError("expected at least one sample; got none")
        _check_damping(damping)
        mean = self.matrix / self.samples
        mean = (mean + mean.T) / 2
        diagonal = mean.diagonal()
        diagonal += damping * diagonal.mean()
        diagonal[diagonal == 0] = 1.0
        return mean


def factorise(matrix: Tensor, *, damping: float = 1e-6) -> tuple[Tensor, float]:
    """Cholesky factor of a symmetric matrix; if it has none, of the matrix with a raised diagonal.

    Args:
        matrix: floats `(n, n)`; only the lower triangle is read.
        damping: share of the mean diagonal that is added first; then ten and a hundred times that.

    Returns:
        The lower factor, `float64 (n, n)`, and what was added to the diagonal, mostly 0.

    Raises:
        WorkbenchError: not square, not finite, or not positive definite after three raises.
    """
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise WorkbenchError(f"expected a square matrix; got shape {tuple(matrix.shape)}")
    _check_damping(damping)
    matrix = matrix.double()
    if not bool(torch.isfinite(matrix).all()):
        raise WorkbenchError("expected a finite matrix; got NaN or infinity")
    mean = float(matrix.diagonal().mean()) if len(matrix) else 0.0
    for added in (0.0, *(damping * 10.0**k * mean for k in range(RAISES))):
        raised = matrix
        if added:
            raised = matrix.clone()
            raised.diagonal().add_(added)
        factor, info = torch.linalg.cholesky_ex(raised)
        if not bool(info.any()):
            return factor, added
    raise WorkbenchError(
        "expected a positive definite matrix; got one that is not, even with "
        f"{damping * 10 ** (RAISES - 1):.3g} of its mean diagonal added: raise the damping or take more samples"
    )


def inverse(matrix: Tensor, *, damping: float = 1e-6) -> Tensor:
    """Inverse of a symmetric positive definite matrix by Cholesky, `float64 (n, n)`; arguments, errors: `factorise`."""
    factor, _ = factorise(matrix, damping=damping)
    return torch.cholesky_inverse(factor)


def refit(weight: Tensor, cross: Tensor, gram: Tensor, prior: Tensor, damping: float) -> Tensor:
    """Weight of a layer on new inputs whose output is nearest to the original's on the original inputs.

    argmin over W' of ||W X - W' X_new||^2 / n + damping * mean(diag(gram)) * ||W' - prior||^2: ridge regression towards
    the prior. X_new comes from layers that are compressed already, so that this layer corrects their errors too
    (the sequential form of OBC, arXiv 2208.11580, and of TACO, arXiv 2303.14409).

    Args:
        weight: floats `(out, in)`, the original W.
        cross: floats `(in, left)`, X X_new^T / n.
        gram: floats `(left, left)`, X_new X_new^T / n.
        prior: floats `(out, left)`, where the weight stays in directions that no sample shows.
        damping: 0 or more; 0 with a singular gram takes the least ridge that can be solved.

    Returns:
        `(out, left)`, of the weight's dtype; computed in float64.

    Raises:
        WorkbenchError: shapes that do not fit, a damping below 0, or values that are not finite.
    """
    _check_damping(damping)
    out, left = weight.shape[0], gram.shape[-1]
    expected = {"cross": (weight.shape[-1], left), "gram": (left, left), "prior": (out, left)}
    for (name, shape), came in zip(expected.items(), (cross, gram, prior), strict=True):
        if tuple(came.shape) != shape:
            raise WorkbenchError(f"expected {name} of shape {shape}; got {tuple(came.shape)}")
    if not bool(torch.isfinite(weight).all() and torch.isfinite(cross).all() and torch.isfinite(prior).all()):
        raise WorkbenchError("expected finite weights and products; got NaN or infinity")
    gram, prior = gram.double(), prior.double()
    if not bool(gram.diagonal().any()):
        return prior.to(weight.dtype)
    ridged = gram.clone()
    ridged.diagonal().add_(damping * gram.diagonal().mean())
    factor, _ = factorise(ridged)
    missed = weight.double() @ cross.double() - prior @ gram
    return (prior + torch.cholesky_solve(missed.T, factor).T).to(weight.dtype)


def energy(weight: Tensor, hessian: Tensor) -> float:
    """tr(W H W^T) in float64: the squared output of a weight `(out, in)`."""
    weight = weight.double()
    return max(float(((weight @ hessian.double()) * weight).sum()), 0.0)


def check_layer(weight: Tensor, hessian: Tensor) -> None:
    """Check that a weight is finite and `(out, in)`, and its Hessian `(in, in)`.

    Raises:
        WorkbenchError: it is not.
    """
    if weight.ndim != 2:
        raise WorkbenchError(f"expected a weight of shape (out, in); got {tuple(weight.shape)}")
    inputs = weight.shape[1]
    if tuple(hessian.shape) != (inputs, inputs):
        raise WorkbenchError(f"expected a Hessian of shape {(inputs, inputs)}; got {tuple(hessian.shape)}")
    if not bool(torch.isfinite(weight).all()):
        raise WorkbenchError("expected a finite weight; got NaN or infinity")


def _check_damping(damping: float) -> None:
    if not 0 <= damping < math.inf:
        raise WorkbenchError(f"expected a damping of 0 or more; got {damping}")
