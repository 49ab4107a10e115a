"""The device's own budgets, of compute and energy: paying for the little model, and what gives way when they run low.

In this order:

1. From 70% of a budget on, frames without motion of their own (the gate's heartbeat, and what it lets through before
   motion and after it) are passed over, of the frames that would be looked at twice (`View.BOTH`) only the region is
   looked at, and a detector is not asked.
2. From 85% on, every second of the rest too.
3. From 95% on, three of four.
4. At the limit nothing runs: frames are answered without a label (`Reason.COMPUTE_SPENT`).

A visit usually lasts several frames, so what gives way first is what tells least.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import count

from edge_sdk.budget.ledger import Ledger
from edge_sdk.budget.limits import Resource
from edge_sdk.camera.detector import Detector
from edge_sdk.camera.gate import GateReason
from edge_sdk.config import PowerModel
from edge_sdk.images.close_up import CloseUp
from edge_sdk.model.little import LittleModel
from edge_sdk.types import MOST_REGIONS, Image, Prediction, Region, View, check_pixels

_STILL_FROM, _HALF_FROM, _QUARTER_FROM = 0.70, 0.85, 0.95
_IDLE = (GateReason.HEARTBEAT, GateReason.HOLD, GateReason.BEFORE)
_OWN = (Resource.COMPUTE, Resource.ENERGY)
_FIRST_RUN_S = 0.02
_FOLLOW = 1 / 16


@dataclass(frozen=True, slots=True)
class Run:
    """What the little model said of a frame, and what that cost.

    Attributes:
        prediction: the mean of its looks.
        macs: multiply-accumulates of all looks.
        region: that was looked at; None: the frame alone was.
    """

    prediction: Prediction
    macs: int
    region: Region | None = None


class Throttle:
    """Runs the little model within the device's budgets. For one thread.

    Args:
        model: the little model.
        ledger: charged for each run.
        power: what a second of the model costs in energy.
        view: what of a frame the model looks at; None: what its manifest says.
    """

    def __init__(self, model: LittleModel, ledger: Ledger, power: PowerModel, view: View | None = None) -> None:
        self._model = model
        self._view = View(model.manifest.view) if view is None else view
        self._ledger = ledger
        self._microwatts = power.active_watts * 1e6
        self._run_s = self._detect_s = _FIRST_RUN_S
        self._number = count()

    def predict(self, image: Image, region: Region | None = None) -> Run | None:
        """The little model's word; None where a budget does not pay for it. A run that took longer is charged so.

        Of two looks the region's alone is run where a budget runs low, or pays for one only.

        Args:
            image: `uint8 (H, W, 3)` RGB.
            region: where something moved, within the picture.

        Raises:
            ImageError: the picture is not an image.
        """
        looks = self._model.looks(image, region, self._view)
        twice = len(looks) > 1 and self._share() < _STILL_FROM and self._pays(len(looks))
        if not twice:
            looks = looks[-1:]
            if not self._pays(1):
                return None
        began_s = time.perf_counter()
        near = self._model.looks_near(region, self._view)
        prediction = self._model.predict_looks(looks, near=near)
        took_s = time.perf_counter() - began_s
        more = round(self._microwatts * took_s) - self._energy(len(looks))
        self._run_s += (took_s / len(looks) - self._run_s) * _FOLLOW
        if more > 0:
            self._ledger.charge(energy=more)
        return Run(prediction, len(looks) * self._model.macs, region if near else None)

    def detect(self, detector: Detector, image: Image) -> tuple[tuple[Region, ...], int]:
        """What a detector finds, within the picture, and the multiply-accumulates that it took.

        From 70% of a budget on, and where it does not pay, the detector is not asked: nothing is found, at no cost.

        Raises:
            ImageError: the picture is not an image.
        """
        height, width = check_pixels(image).shape[:2]
        energy = round(self._microwatts * self._detect_s)
        if self._share() >= _STILL_FROM or not self._ledger.try_spend(compute=detector.macs, energy=energy):
            return (), 0
        began_s = time.perf_counter()
        found = detector.detect(image)[:MOST_REGIONS]
        took_s = time.perf_counter() - began_s
        self._detect_s += (took_s - self._detect_s) * _FOLLOW
        if (more := round(self._microwatts * took_s) - energy) > 0:
            self._ledger.charge(energy=more)
        whole = CloseUp(0, 0, width, height)
        clipped = (whole.clip(region) for region in found)
        return tuple(region for region in clipped if region is not None), detector.macs

    def passes_over(self, reason: GateReason | None) -> bool:
        """Whether a frame gives way.

        Args:
            reason: why the motion gate admitted it; None without a gate.
        """
        share = self._share()
        if share < _STILL_FROM:
            return False
        if reason in _IDLE:
            return True
        if share < _HALF_FROM:
            return False
        return next(self._number) % (2 if share < _QUARTER_FROM else 4) != 0

    def _pays(self, looks: int) -> bool:
        """Whether the budgets pay for so many looks, which are then charged."""
        return self._ledger.try_spend(compute=looks * self._model.macs, energy=self._energy(looks))

    def _energy(self, looks: int) -> int:
        """What so many looks are expected to cost, microjoules."""
        return round(self._microwatts * self._run_s * looks)

    def _share(self) -> float:
        """Part that is spent of the device's own budget that is nearest to its limit."""
        return max((state.share for state in self._ledger.states() if state.budget.resource in _OWN), default=0.0)
