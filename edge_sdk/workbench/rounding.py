"""Weights of an int8 layer, fitted to the inputs that int8 gives it, and rounded with these in view.

By the time a value reaches a layer, the int8 layers before have moved it. The weights are first changed so that, on the
inputs as they come, the outputs are nearest to those of the float network: ridge regression towards the float weights
(the asymmetric calibration of GPTAQ, Li et al., arXiv 2504.02692, section 3). How far they may move is chosen for each
layer by what the change of one half of the pictures does on the other half.

Nearest rounding of each weight alone is not nearest for the layer's outputs. GPTQ (Frantar et al., arXiv 2210.17323)
rounds the weights of an output one after another and moves the rest so that the outputs change least. Where an output
has few weights (the first layer, depthwise layers), luck decides how well a step fits them, so several are tried.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.fx import Node

from edge_sdk.workbench.device_rounding import int8_weight
from edge_sdk.workbench.moments import Moments, moments
from edge_sdk.workbench.specialize.sparse import LEVELS, Grid, quantize
from edge_sdk.workbench.walk import attribute

_DAMPING = 0.01  # GPTQ, section 3.3
_RIDGES = (30.0, 10.0, 3.0, 1.0, 0.3, 0.1, 0.03, 0.01)  # times the inputs' mean variance
_FEW = 64  # weights of an output, up to which several steps are tried for it
_STEPS = 32
_WIDEST = 1.25  # the largest step tried, of the one that just holds the largest weight
_LEAST = 2.0**-20  # the least step of an output, of the layer's largest: outputs that are always 0 have weights of 1e-9


def fit_layer(
    network: Any,
    node: Node,
    weight: torch.Tensor,
    inputs: Sequence[torch.Tensor],
    values: Sequence[torch.Tensor],
    wanted: Sequence[torch.Tensor],
) -> None:
    """Fit and round the weight of one int8 layer of a converted network; a layer in float32 is left as it is.

    Args:
        network: converted; the layer's int8 weight and its steps are changed.
        node: the layer, a convolution or linear.
        weight: its float weight.
        inputs: of the layer, one a picture.
        values: its outputs, which are changed to what the new weight gives.
        wanted: the outputs of the layer in the float network.
    """
    found = int8_weight(node)
    if found is None or weight.dim() not in (2, 4) or any(len(one.users) != 1 for one in found):
        return
    code, scale = (attribute(network, one) for one in found)

    def run(value: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
        return node.target(value, kernel, None, *node.args[3:], **_without_bias(node))  # type: ignore[operator,no-any-return]

    weight = weight.detach()
    by_rounding = weight - _decoded(code, scale)
    lacking = [
        right - (value + run(given, by_rounding)) for right, value, given in zip(wanted, values, inputs, strict=True)
    ]
    halves = [moments(node, inputs[half::2], lacking[half::2], weight) for half in (0, 1) if len(inputs) > half]
    fitted = weight.flatten(1).double() + fitting_change(halves).flatten(0, 1)
    steps, rounded = round_weight(fitted, Moments.average(halves).covariance)
    before = _decoded(code, scale)
    code.data.copy_(rounded.view(code.shape))
    scale.data.copy_(steps)
    for value, given in zip(values, inputs, strict=True):
        value += run(given, _decoded(code, scale) - before)


def fitting_change(halves: Sequence[Moments]) -> torch.Tensor:
    """The change of a layer's weights that gives its outputs most of what they lack.

    Args:
        halves: of one half of the pictures and of the other; of one alone the most cautious change is taken.

    Returns:
        `float64 (groups, out / groups, in)`.
    """
    ridge = _RIDGES[0]
    if len(halves) == 2:
        ridge = min(_RIDGES, key=lambda one: sum(_left(_change(a, one), b) for a, b in (halves, halves[::-1])))
    return _change(Moments.average(halves), ridge)


def round_weight(weight: torch.Tensor, covariances: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Round a layer's weight to int8.

    Args:
        weight: floats `(out, in)`.
        covariances: `float64 (groups, in, in)` of the inputs; outputs of a group share one.

    Returns:
        `float32 (out,)`, the step of each output, and `int8 (out, in)`, from -127 to 127.
    """
    damped = _damped(covariances, _DAMPING)
    whole = Grid.of(weight).scale
    whole = whole.clamp_min(_LEAST * float(whole.max()))
    best_scale, best = whole.float(), _rounded(weight, whole.float(), damped)
    if weight.shape[1] <= _FEW:
        least = _error(weight, best_scale, best, covariances)
        for share in torch.linspace(1.0, _WIDEST, _STEPS)[1:]:
            scale = (whole * share).float()
            codes = _rounded(weight, scale, damped)
            error = _error(weight, scale, codes, covariances)
            nearer = error < least
            least = torch.where(nearer, error, least)
            best_scale, best = torch.where(nearer, scale, best_scale), torch.where(nearer[:, None], codes, best)
    return best_scale, best


def _rounded(weight: torch.Tensor, scale: torch.Tensor, damped: torch.Tensor) -> torch.Tensor:
    groups, width = len(damped), weight.shape[1]
    if groups == 1:
        return Grid(scale).codes(quantize(weight, damped[0], grid=Grid(scale))).to(torch.int8)
    return _sweep(weight.double().view(groups, -1, width), damped, scale.double().view(groups, -1)).view(-1, width)


def _sweep(weight: torch.Tensor, hessians: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """The sweep of `quantize` over many small groups at once: `(groups, out, in)` weights, `(groups, out)` steps."""
    upper = torch.linalg.cholesky(torch.linalg.inv(hessians), upper=True)
    work, codes = weight.clone(), torch.empty_like(weight)
    for place in range(weight.shape[2]):
        codes[:, :, place] = (work[:, :, place] / scale).round().clamp(-LEVELS, LEVELS)
        wrong = (work[:, :, place] - codes[:, :, place] * scale) / upper[:, place, place, None]
        work[:, :, place + 1 :] -= wrong[:, :, None] * upper[:, None, place, place + 1 :]
    return codes.to(torch.int8)


def _error(weight: torch.Tensor, scale: torch.Tensor, codes: torch.Tensor, covariances: torch.Tensor) -> torch.Tensor:
    """`float64 (out,)`: variance of what rounding adds to each output."""
    off = (codes.double() * scale.double()[:, None] - weight.double()).view(len(covariances), -1, weight.shape[1])
    return torch.einsum("goi,gij,goj->go", off, covariances, off).flatten()


def _change(of: Moments, ridge: float) -> torch.Tensor:
    turned: torch.Tensor = torch.linalg.solve(_damped(of.covariance, ridge), of.cross.transpose(1, 2))
    return turned.transpose(1, 2)


def _left(change: torch.Tensor, of: Moments) -> float:
    """What the outputs still lack after a change, less what they lacked before: sums of variances."""
    return float((((change @ of.covariance) - 2 * of.cross) * change).sum())


def _damped(covariances: torch.Tensor, share: float) -> torch.Tensor:
    damped = covariances.clone()
    diagonal = damped.diagonal(dim1=1, dim2=2)
    diagonal += share * diagonal.mean(1, keepdim=True)
    diagonal[diagonal <= 0] = 1.0
    return damped


def _decoded(code: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    return code.float() * scale.float().view(-1, *[1] * (code.dim() - 1))


def _without_bias(node: Node) -> dict[str, Any]:
    return {name: value for name, value in node.kwargs.items() if name != "bias"}
