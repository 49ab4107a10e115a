"""A batch in small parts, each on a thread of its own: a core waits for no other until the batch ends."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from cloud_server.model.ticket import Little, Ran, Rows, Run
from edge_sdk.types import Image

if TYPE_CHECKING:
    import torch

MOST = 4
"""Threads of a crew: each takes its turn at Python's lock between two layers, and more would wait for it."""
PART = 4
"""Pictures in a part: few enough that the threads end together, many enough that a part is worth its beginning."""


class Crew:
    """Threads that run a model's parts side by side.

    Threads that share one picture wait for the slowest of them after each layer, which costs most where decoding takes
    a core now and then. Threads that have parts of their own do not wait, and keep less in memory than a whole batch.
    One thread alone runs one part after the other, where it is called.

    Args:
        threads: CPU threads of the model, shared out among the crew.
        begin: called in each of the crew's threads with the CPU threads that it may use.

    Attributes:
        count: threads of the crew.
    """

    def __init__(self, threads: int, begin: Callable[[int], object]) -> None:
        self.count = min(threads, MOST)
        self._pool = None
        if threads > 1:
            self._pool = ThreadPoolExecutor(self.count, "model part", begin, (threads // self.count,))

    def run(self, run: Run, images: Sequence[Image], little: Sequence[Little]) -> Ran:
        """What `run` gives for N pictures.

        Raises:
            Exception: whatever `run` raises on the first part that fails, once no part runs any more.
        """
        size = max(1, min(PART, len(images) // self.count))
        spans = [slice(at, at + size) for at in range(0, len(images), size)]
        if self._pool is None:
            parts = [Ran(*run(images[span], little[span])) for span in spans]
        else:
            begun = [self._pool.submit(run, images[span], little[span]) for span in spans]
            parts = [Ran(*rows) for rows in _all_of(begun)]
        exits = [part.exits for part in parts if part.exits is not None]
        return Ran(
            np.concatenate([part.rows for part in parts]),
            np.concatenate([part.macs for part in parts]),
            np.concatenate(exits) if exits else None,
        )


def of_its_own(module: torch.nn.Module) -> torch.nn.Module:
    """A copy of a network for one thread, with the weights of the first: they are in memory once.

    What a network notes or hooks on itself while it runs, as an exit sequence does, is then no other thread's.
    """
    shared = {id(tensor): tensor for tensor in chain(module.parameters(), module.buffers())}
    return copy.deepcopy(module, shared)


def _all_of(begun: Sequence[Future[Rows]]) -> list[Rows]:
    """What all of them give, or the first error once none of them runs any more."""
    try:
        return [one.result() for one in begun]
    except BaseException:
        for one in begun:
            if not one.cancel():
                one.exception()  # waits for its end
        raise
