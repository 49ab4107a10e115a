"""Duty cycle: when a device looks, what wakes it, what it lives on, and what that costs."""

from __future__ import annotations

from edge_sdk.duty.camera import DutyCamera
from edge_sdk.duty.energy import Spent
from edge_sdk.duty.schedule import Schedule
from edge_sdk.duty.supply import KernelSupply, Supply, SupplyState, measures_of
from edge_sdk.duty.trigger import PirSensor, Trigger

__all__ = [
    "DutyCamera",
    "KernelSupply",
    "PirSensor",
    "Schedule",
    "Spent",
    "Supply",
    "SupplyState",
    "Trigger",
    "measures_of",
]
