"""Lowering a captured network to XNNPACK and ExecuTorch, and the check that nothing heavy stays outside XNNPACK.

Operators outside the delegate run in portable kernels, tens of times slower.
"""

from __future__ import annotations

import gc
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch

from edge_sdk.errors import WorkbenchError
from edge_sdk.workbench.outside import Outside, outside

_NAMED = 8  # operators that the error names
_RUNS = {True: 35.0, False: 52.0}
"""How often lowering runs each node of a quantised graph, and of one in float32 (34.5 to 35.6, and 37 to 57)."""
_DONE = (0.0, 0.06, 0.12, 0.17, 0.27, 0.44, 0.65, 0.76, 0.88, 0.99, 1.0)
"""Share of those runs that is done at each tenth of the time: convolutions, attention, int8 and float32 are alike."""


@dataclass(frozen=True, slots=True)
class Lowered:
    """A program for the device.

    Attributes:
        program: the content of `model.pte`.
        outside: the operators that run outside XNNPACK: light ones, and those that were allowed.
    """

    program: bytes
    outside: tuple[Outside, ...]


def lower(
    captured: Any,
    inputs: tuple[torch.Tensor],
    allow: Sequence[str],
    on_done: Callable[[int, int], None] = lambda done, of: None,
) -> Lowered:
    """Lower a captured network to XNNPACK.

    Args:
        captured: by `torch.export`.
        inputs: one example input, `float32 (1, 3, height, width)`, channels-last.
        allow: names of heavy operators that may run outside XNNPACK.
        on_done: told how much of its time is over, in per cent of 100, as far as the passes over the graph tell.

    Raises:
        WorkbenchError: XNNPACK did not take other heavy operators; the message names them, and what to change.
    """
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    with _without_patterns(), _without_bookkeeping(), _counted(captured.graph, on_done):
        edge = to_edge_transform_and_lower(
            torch.export.export(captured, inputs, strict=False), partitioner=[XnnpackPartitioner()]
        )
        left = outside(edge.exported_program().graph)
        _refuse_heavy(left, allow)
        lowered = Lowered(bytes(edge.to_executorch().buffer), tuple(left))
    on_done(100, 100)
    return lowered


def _refuse_heavy(left: Sequence[Outside], allow: Sequence[str]) -> None:
    heavy = [one for one in left if one.heavy and one.operator not in allow]
    if heavy:
        more = f"; and {len(heavy) - _NAMED} more" if len(heavy) > _NAMED else ""
        raise WorkbenchError(
            f"XNNPACK did not take {len(heavy)} heavy operator{'s' * (len(heavy) > 1)}, which would run many times "
            f"slower outside it: {'; '.join(map(str, heavy[:_NAMED]))}{more}. Change the network so, or allow them by "
            f"name, as in --allow {heavy[0].operator}, where their time does not matter"
        )


@contextmanager
def _without_patterns() -> Iterator[None]:
    """Spare XNNPACK's passes their search for attention and upsampling written out in parts.

    Capturing twelve examples of both takes longer than lowering the usual network, and finds nothing: attention is
    rewritten before (`edge_sdk.workbench.rewrites.attention`), and upsampling reaches the delegate as one operator.
    """
    from executorch.backends.xnnpack._passes import convert_to_sdpa, convert_to_upsample_bilinear2d
    from torch.fx.passes.infra.pass_base import PassResult

    searches: tuple[Any, ...] = (
        convert_to_sdpa.ConvertToSDPAPass,
        convert_to_upsample_bilinear2d.ConvertToUpsampleBilinear2d,
    )
    before = [search.call for search in searches]
    for search in searches:
        search.call = lambda self, graph: PassResult(graph, False)
    try:
        yield
    finally:
        for search, call in zip(searches, before, strict=True):
            search.call = call


@contextmanager
def _without_bookkeeping() -> Iterator[None]:
    """Spare the passes, over twenty, what each would do again for every node; lowering takes a third of the time.

    Shapes are looked up again for operators of torch alone; here also for quantise and dequantise, whose outputs'
    shapes follow from the inputs' too. The record of a node's origins, which is never changed once made, is copied
    whole by each pass. Python's search for cycles finds nothing worth while among the nodes.
    """
    from torch._library import utils
    from torch.fx.traceback import NodeSource

    operators, source = cast(Any, utils), cast(Any, NodeSource)
    collecting, builtin = gc.isenabled(), operators.is_builtin
    operators.is_builtin = lambda one: one.namespace == "quantized_decomposed" or builtin(one)
    source.__deepcopy__ = lambda self, memo: self
    gc.disable()
    try:
        yield
    finally:
        operators.is_builtin = builtin
        del source.__deepcopy__
        if collecting:
            gc.enable()


@contextmanager
def _counted(graph: torch.fx.Graph, on_done: Callable[[int, int], None]) -> Iterator[None]:
    """Tell how far lowering is, by the nodes that its passes run: each pass runs the whole graph once."""
    quantised = any("quantize" in str(node.target) for node in graph.nodes)
    wanted = _RUNS[quantised] * len(graph.nodes)
    run, runs, told = torch.fx.Interpreter.run_node, 0, 0

    def counted(self: torch.fx.Interpreter, node: torch.fx.Node) -> Any:
        nonlocal runs, told
        runs += 1
        percent = min(99, round(100 * float(np.interp(runs / wanted, _DONE, np.linspace(0, 1, len(_DONE))))))
        if percent > told:
            told = percent
            on_done(percent, 100)
        return run(self, node)

    setattr(torch.fx.Interpreter, run.__name__, counted)
    on_done(0, 100)
    try:
        yield
    finally:
        setattr(torch.fx.Interpreter, run.__name__, run)


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
