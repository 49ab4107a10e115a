"""Trying ways to do the same thing, in turns."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from cloud_server.model.big import BigModel

T = TypeVar("T")
TURNS = 5


def quicker(ways: Sequence[T], run: Callable[[T], object], clock: Callable[[], float] = time.perf_counter) -> T:
    """The way that takes least time, by the median of a few turns; each has one more before that is not counted.

    Args:
        ways: at least one; of equal ones the first is taken.
        run: does it once.
        clock: seconds, monotonic.
    """
    taken: dict[int, list[float]] = {number: [] for number in range(len(ways))}
    for turn in range(TURNS + 1):  # in turns: what disturbs one moment disturbs no way alone
        for number, way in enumerate(ways):
            began = clock()
            run(way)
            if turn:
                taken[number].append(clock() - began)
    return ways[min(taken, key=lambda number: statistics.median(taken[number]))]


def use_quicker_alone(model: BigModel, ways: Sequence[T], use: Callable[[T], object]) -> None:
    """Use the quickest of a few ways to run a picture that comes alone.

    Args:
        model: to run.
        ways: at least one; of equal ones the first is taken.
        use: makes the model run so from now on.
    """
    blank = np.zeros((model.input_height, model.input_width, 3), np.uint8)

    def run(way: T) -> None:
        use(way)
        model.run([blank], [None])

    use(quicker(ways, run))


def least_s(run: Callable[[], object], for_s: float, clock: Callable[[], float] = time.perf_counter) -> float:
    """Seconds of the quickest run; one more before is not counted.

    Args:
        run: does it once.
        for_s: it is run for so long, and at least twice.
        clock: seconds, monotonic.
    """
    run()
    taken: list[float] = []
    until = clock() + for_s
    while len(taken) < 2 or clock() < until:
        began = clock()
        run()
        taken.append(clock() - began)
    return min(taken)
