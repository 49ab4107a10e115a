"""A frame on its way through the server: what the batcher is asked, what it answers, and the errors between."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from edge_sdk.errors import EdgeError
from edge_sdk.types import Image, Region

T = TypeVar("T")
Probabilities = NDArray[np.float32]
Looks = tuple[Image, ...]
"""What of one frame goes through the model: one or more inputs, `uint8 (h, w, 3)`."""
Prepare = Callable[[Any, Region | None], Looks]  # `Any`: what `submit` takes, which the batcher hands on unread
Little = NDArray[np.float32] | None
"""The little model's probabilities that came with a frame, `float32 (C,)`, or None."""


class Ran(NamedTuple):
    """What a model gives for N inputs.

    Attributes:
        rows: probabilities, `float32 (N, C)`.
        macs: multiply-accumulates spent, `int64 (N,)`.
        exits: at which of the model's exits each left, `int64 (N,)`; None: it has none.
    """

    rows: Probabilities
    macs: NDArray[np.int64]
    exits: NDArray[np.int64] | None = None


Rows = Ran | tuple[Probabilities, NDArray[np.int64]]
"""What a model's `run` gives; one without exits gives the first two of `Ran` alone."""
Run = Callable[[Sequence[Image], Sequence[Little]], Rows]


@dataclass(frozen=True, slots=True, eq=False)
class Answered:
    """The model's output for one frame.

    Attributes:
        probabilities: `float32 (C,)`, the mean over its looks.
        macs: multiply-accumulates spent on all of them.
        exit: the latest of the exits at which its looks left, an index into the model's; None: it has none.
    """

    probabilities: Probabilities
    macs: int
    exit: int | None = None


class Draining(EdgeError):
    """The server is going down and takes no new frames."""


class ModelFailed(EdgeError):
    """The model raised an exception on a frame, or returned NaN or infinity."""


@dataclass(slots=True, eq=False)
class Ticket:
    """A frame on its way; `looks` are there once it is decoded, `job` no longer once that has begun.

    Attributes:
        deadline_s: on the batcher's clock; an answer after it is worth nothing.
    """

    job: Callable[[], Looks | None] | None
    size: int
    little: Little
    caller: str
    result: asyncio.Future[Answered]
    on_start: Callable[[], None]
    heavy_job: Callable[[], Looks] | None = None
    looks: Looks | None = None
    deadline_s: float = math.inf

    def fail(self, error: EdgeError) -> None:
        """Answer with an error, unless it is answered already."""
        if not self.result.done():
            self.result.set_exception(error)

    def drop(self) -> None:
        """Let go of the picture."""
        self.job = self.heavy_job = self.looks = None


def timed(job: Callable[[], T], on_done: Callable[[float, float], None]) -> T:
    """What a job gives; `on_done` is told when it began and ended, seconds since 1970."""
    began_s = time.time()
    found = job()
    on_done(began_s, time.time())
    return found
