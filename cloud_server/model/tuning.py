"""What suits a model on this machine: how many frames in one run, and which blocks of memory it keeps."""

from __future__ import annotations

import logging
import math
import time

import numpy as np

from cloud_server.memory import MOST_KEPT_BYTES, keep_blocks_of, return_large_blocks
from cloud_server.model.big import BigModel, PreparedModel, ThreadedModel
from cloud_server.model.sizing import sizes_up_to

_log = logging.getLogger(__name__)
GOOD_ENOUGH = 1.1
"""A larger batch is taken where its time for a frame is at most this times the best one's."""
_TURN_S = 0.0015
"""What each run costs the server beside the model's own time: a batch is taken, answers are handed out."""
_LONGEST_S = 0.45
"""Seconds after which no further run is tried, once each size had one; no larger size after as long again."""
_TURNS = 3
"""Most runs of each size."""


def warm_up(model: BigModel, most: int) -> int:
    """Run a model until no device waits for allocations and kernel choices, and find its batch.

    A network on the CPU is tried at 1, 2, 4, ... frames a run, as far as half a second goes: the largest batch is taken
    whose time for a frame is near the best one's. It fills up only while so many frames wait, and each run costs the
    server work of its own. Anything else gets the largest.

    Args:
        model: to run, on the thread that will run it.
        most: frames in one run.

    Returns:
        Frames in one run that suit it, from 1 to `most`.
    """
    blank = model.prepare(np.zeros((model.input_height, model.input_width, 3), np.uint8))

    def run(size: int) -> float:
        began = time.perf_counter()
        model.run([blank] * size, [None] * size)
        return time.perf_counter() - began

    if isinstance(model, PreparedModel):
        model.make_ready(most)
    if not isinstance(model, ThreadedModel) or model.on_gpu:
        for size in {1, most}:
            run(size)
        return most
    began = time.monotonic()
    run(1)
    return_large_blocks(MOST_KEPT_BYTES)
    taken: dict[int, float] = {}
    for turn in range(_TURNS):  # in turns: what disturbs one moment, such as a busy neighbour, disturbs no size alone
        for size in sizes_up_to(most):
            if time.monotonic() - began > _LONGEST_S * (1 if turn else 2) and (turn or size > 1):
                break
            taken[size] = min(taken.get(size, math.inf), run(size) / size)
    costs = {size: one + _TURN_S / size for size, one in taken.items()}
    batch = max(size for size, one in costs.items() if one <= GOOD_ENOUGH * min(costs.values()))
    block = keep_blocks_of(lambda: run(batch))
    _log.info(
        "%d frames a run, %.1f ms each (one alone: %.1f ms); memory is kept in blocks below %d MiB",
        batch,
        1e3 * taken[batch],
        1e3 * taken[1],
        block >> 20,
    )
    return batch
