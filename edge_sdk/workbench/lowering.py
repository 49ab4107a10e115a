"""Lowering a captured network to XNNPACK and ExecuTorch, and the check that nothing heavy stays outside XNNPACK.

Operators outside the delegate run in portable kernels, tens of times slower.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from edge_sdk.errors import WorkbenchError
from edge_sdk.workbench.outside import Outside, outside

_NAMED = 8  # operators that the error names


@dataclass(frozen=True, slots=True)
class Lowered:
    """A program for the device.

    Attributes:
        program: the content of `model.pte`.
        outside: the operators that run outside XNNPACK: light ones, and those that were allowed.
    """

    program: bytes
    outside: tuple[Outside, ...]


def lower(captured: Any, inputs: tuple[torch.Tensor], allow: Sequence[str]) -> Lowered:
    """Lower a captured network to XNNPACK.

    Args:
        captured: by `torch.export`.
        inputs: one example input, `float32 (1, 3, height, width)`, channels-last.
        allow: names of heavy operators that may run outside XNNPACK.

    Raises:
        WorkbenchError: XNNPACK did not take other heavy operators; the message names them, and what to change.
    """
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    with _without_patterns():
        edge = to_edge_transform_and_lower(
            torch.export.export(captured, inputs, strict=False), partitioner=[XnnpackPartitioner()]
        )
    left = outside(edge.exported_program().graph)
    heavy = [one for one in left if one.heavy and one.operator not in allow]
    if heavy:
        more = f"; and {len(heavy) - _NAMED} more" if len(heavy) > _NAMED else ""
        raise WorkbenchError(
            f"XNNPACK did not take {len(heavy)} heavy operator{'s' * (len(heavy) > 1)}, which would run many times "
            f"slower outside it: {'; '.join(map(str, heavy[:_NAMED]))}{more}. Change the network so, or allow them by "
            f"name, as in --allow {heavy[0].operator}, where their time does not matter"
        )
    return Lowered(bytes(edge.to_executorch().buffer), tuple(left))


@contextmanager
def _without_patterns() -> Iterator[None]:
    """Spare XNNPACK's passes their search for attention and upsampling written out in parts.

    Capturing twelve examples of both takes longer than lowering the usual network, and finds nothing: attention is
    rewritten before (`edge_sdk.workbench.rewrites.attention`), and upsampling reaches the delegate as one operator.
    """
    from executorch.backends.xnnpack._passes import convert_to_sdpa, convert_to_upsample_bilinear2d

    graphs = {convert_to_sdpa.sdpa: "get_graphs", convert_to_upsample_bilinear2d.bilinear_2d: "get_graphs_dict"}
    before = {module: getattr(module, name) for module, name in graphs.items()}
    for module, name in graphs.items():
        setattr(module, name, dict)
    try:
        yield
    finally:
        for module, name in graphs.items():
            setattr(module, name, before[module])


@contextmanager
def quiet() -> Iterator[None]:
    """Silence the exporter's warnings within this context; no user can act on them."""
    loggers = [logging.getLogger(name) for name in ("torchao", "torch.utils._pytree")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)  # compiled parts for other machines, deprecations inside
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
