"""What is measured for `/metrics` beside the counts of `Stats`: calls, batches, stages of a frame, refusals, bytes."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from time import monotonic
from typing import ParamSpec, TypeVar

from cloud_server.fleet.histogram import CALL_S, SIZES, STAGE_S, Histogram

P = ParamSpec("P")
T = TypeVar("T")

STAGES = ("queue", "decode", "run")
MOST_DEVICES = 500
"""Devices whose refusals are counted apart."""
MOST_CALLS = 200
"""Methods and statuses of calls that are counted apart."""
OTHERS, UNPROVEN = "other devices", "no token or certificate"
MOST_MODELS = 50
"""Models and versions whose answers are counted apart."""
OTHER_MODELS = "other models"
MOST_EXITS = 500
"""Models and exits that are counted apart."""
OTHER_EXITS = "other exits"
_OTHER_CALL = ("_OTHER", "UNKNOWN")


class Measures:
    """Measurements from the start on, from any thread.

    Attributes:
        batches: frames in one run of the model.
        stages: seconds of a frame by stage: "queue" from its arrival to its batch, "decode" of it in the decoder's
            thread, "run" from its batch to its answer.
        picture_bytes: bytes of the pictures that came from devices.
    """

    def __init__(self) -> None:
        self.batches = Histogram(SIZES)
        self.stages = {stage: Histogram(STAGE_S) for stage in STAGES}
        self.picture_bytes = 0
        self._calls: dict[tuple[str, str], Histogram] = {}
        self._refused: Counter[tuple[str, str]] = Counter()
        self._devices: set[str] = set()
        self._answered: Counter[tuple[str, str]] = Counter()
        self._exits: Counter[tuple[str, str]] = Counter()
        self._guard = threading.Lock()

    def count_call(self, method: str, status: str, seconds: float) -> None:
        """Count a call that ended.

        Args:
            method: fully qualified, such as "edge_sdk.v1.Offload/Stream"; of a method that the server has.
            status: gRPC's, such as "OK".
            seconds: from its begin to its end.
        """
        key = (method, status)
        with self._guard:
            if key not in self._calls and len(self._calls) >= MOST_CALLS:
                key = _OTHER_CALL
            histogram = self._calls.setdefault(key, Histogram(CALL_S))
        histogram.count(seconds)

    def calls(self) -> list[tuple[str, str, Histogram]]:
        """Method, status and durations of the calls."""
        with self._guard:
            return [(*key, histogram) for key, histogram in sorted(self._calls.items())]

    def count_refusal(self, device: str, is_proven: bool, reason: str) -> None:
        """Count a frame that was refused; devices without a proven name are counted together."""
        with self._guard:
            if not is_proven:
                device = UNPROVEN
            elif device not in self._devices and len(self._devices) >= MOST_DEVICES:
                device = OTHERS
            else:
                self._devices.add(device)
            self._refused[device, reason] += 1

    def count_answer(self, model: str, version: str) -> None:
        """Count a frame that a model answered; versions beyond `MOST_MODELS` are counted together."""
        with self._guard:
            key = (model, version)
            if key not in self._answered and len(self._answered) >= MOST_MODELS:
                key = (OTHER_MODELS, "")
            self._answered[key] += 1

    def count_exit(self, model: str, name: str) -> None:
        """Count a frame that left a model at an exit; exits beyond `MOST_EXITS` are counted together."""
        with self._guard:
            key = (model, name)
            if key not in self._exits and len(self._exits) >= MOST_EXITS:
                key = (OTHER_MODELS, OTHER_EXITS)
            self._exits[key] += 1

    def exits(self) -> list[tuple[str, str, int]]:
        """Model, exit and number of the frames that left there."""
        with self._guard:
            return [(*key, count) for key, count in sorted(self._exits.items())]

    def answered(self) -> list[tuple[str, str, int]]:
        """Model, version and number of the frames that it answered."""
        with self._guard:
            return [(*key, count) for key, count in sorted(self._answered.items())]

    def refused(self) -> list[tuple[str, str, int]]:
        """Device, reason and number of the frames that were refused."""
        with self._guard:
            return [(*key, count) for key, count in sorted(self._refused.items())]

    def timed(self, stage: str, work: Callable[P, T]) -> Callable[P, T]:
        """The same work, whose time counts as a stage."""
        histogram = self.stages[stage]

        def do(*args: P.args, **kwargs: P.kwargs) -> T:
            began = monotonic()
            try:
                return work(*args, **kwargs)
            finally:
                histogram.count(monotonic() - began)

        return do
