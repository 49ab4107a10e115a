"""What suits a model on this machine: how many frames in one run, and which blocks of memory it keeps."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext

import numpy as np

from cloud_server.memory import MOST_KEPT_BYTES, keep_blocks_of, return_large_blocks
from cloud_server.model.big import BigModel, PreparedModel, ThreadedModel
from cloud_server.model.sizing import sizes_up_to

_log = logging.getLogger(__name__)
LONGEST_RUN_S = 0.4
"""A batch is no larger than what runs within this time: a frame may have to wait for a run to end, and for its own."""


def warm_up(
    model: BigModel, most: int, turn: AbstractContextManager[object] | None = None
) -> tuple[int, dict[int, float]]:
    """Run a model until no device waits for allocations and kernel choices, and find its batch.

    A network on the CPU is tried at 1, 2, 4, ... frames a run, as far as a run is short enough, and as it computes at a
    time: larger runs take the longer in proportion. A larger batch costs no more for a frame, since its parts are as
    large as those of a smaller one (`crew`), and the server less: it fills up only while so many frames wait. Anything
    else gets the largest.

    Args:
        model: to run, on the thread that will run it.
        most: frames in one run.
        turn: held while it runs, where others run on the same processor: what is waited for them is not the model's
            time. None: nothing else does.

    Returns:
        Frames in one run that suit it, from 1 to `most`, and the seconds of a run by its frames, where they are known.
    """
    blank = model.prepare(np.zeros((model.input_height, model.input_width, 3), np.uint8))

    def run(size: int) -> float:
        with turn or nullcontext():
            began = time.perf_counter()
            model.run([blank] * size, [None] * size)
            return time.perf_counter() - began

    if isinstance(model, PreparedModel):
        model.make_ready(most)
    if not isinstance(model, ThreadedModel) or model.on_gpu:
        for size in {1, most}:
            run(size)
        return most, {}
    run(1)
    return_large_blocks(MOST_KEPT_BYTES)
    taken: dict[int, float] = {}
    at_once = model.at_once(most)

    def steady(size: int) -> float:
        if size > at_once:
            return taken[max(taken)] * size / max(taken)
        took_s = run(size)
        if took_s > LONGEST_RUN_S / 2 or 2 * size > at_once:  # something else may have had the processor
            took_s = min(took_s, run(size))
        return took_s

    for size, took_s in short_runs(most, steady):
        taken[size] = took_s
    batch = max(taken)
    block = keep_blocks_of(lambda: run(model.at_once(batch)))
    _log.info(
        "%d frames a run, %.1f ms each (one alone: %.1f ms); memory is kept in blocks below %d MiB",
        batch,
        1e3 * taken[batch] / batch,
        1e3 * taken[1],
        block >> 20,
    )
    return batch, taken


def short_runs(most: int, run: Callable[[int], float]) -> Iterator[tuple[int, float]]:
    """Runs of 1, 2, 4, ... frames on a CPU, as far as they are short enough for the server; the first in any case.

    Args:
        most: frames in one run.
        run: runs so many, and says how many seconds that took.

    Yields:
        Frames in one run, and its seconds.
    """
    for number, size in enumerate(sizes_up_to(most)):
        took_s = run(size)
        if number and took_s > LONGEST_RUN_S:
            return
        yield size, took_s
        if took_s > LONGEST_RUN_S * 2 / 3:  # twice as many take too long
            return
