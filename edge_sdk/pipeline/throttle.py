"""The device's own budgets, of compute and energy: paying for the little model, and what gives way when they run low.

In this order:

1. From 70% of a budget on, frames without motion of their own (the gate's heartbeat, and what it lets through after
   motion has ended) are passed over.
2. From 85% on, every second of the rest too.
3. From 95% on, three of four.
4. At the limit nothing runs: frames are answered without a label (`Reason.COMPUTE_SPENT`).

A visit usually lasts several frames, so what gives way first is what tells least.
"""

from __future__ import annotations

import time
from itertools import count

from edge_sdk.budget.ledger import Ledger
from edge_sdk.budget.limits import Resource
from edge_sdk.camera.gate import GateReason
from edge_sdk.config import PowerModel
from edge_sdk.model.little import LittleModel
from edge_sdk.types import Image, Prediction

_STILL_FROM, _HALF_FROM, _QUARTER_FROM = 0.70, 0.85, 0.95
_IDLE = (GateReason.HEARTBEAT, GateReason.HOLD)
_OWN = (Resource.COMPUTE, Resource.ENERGY)
_FIRST_RUN_S = 0.02
_FOLLOW = 1 / 16


class Throttle:
    """Runs the little model within the device's budgets. For one thread.

    Args:
        model: the little model.
        ledger: charged for each run.
        power: what a second of the model costs in energy.
    """

    def __init__(self, model: LittleModel, ledger: Ledger, power: PowerModel) -> None:
        self._model = model
        self._ledger = ledger
        self._microwatts = power.active_watts * 1e6
        self._run_s = _FIRST_RUN_S
        self._number = count()

    def predict(self, image: Image) -> Prediction | None:
        """The little model's word; None where a budget does not pay for it. A run that took longer is charged so.

        Raises:
            ImageError: the picture is not an image.
        """
        energy = round(self._microwatts * self._run_s)
        if not self._ledger.try_spend(compute=self._model.macs, energy=energy):
            return None
        began_s = time.perf_counter()
        prediction = self._model.predict(image)
        took_s = time.perf_counter() - began_s
        self._run_s += (took_s - self._run_s) * _FOLLOW
        if (more := round(self._microwatts * took_s) - energy) > 0:
            self._ledger.charge(energy=more)
        return prediction

    def passes_over(self, reason: GateReason | None) -> bool:
        """Whether a frame gives way.

        Args:
            reason: why the motion gate admitted it; None without a gate.
        """
        share = max((state.share for state in self._ledger.states() if state.budget.resource in _OWN), default=0.0)
        if share < _STILL_FROM:
            return False
        if reason in _IDLE:
            return True
        if share < _HALF_FROM:
            return False
        return next(self._number) % (2 if share < _QUARTER_FROM else 4) != 0
