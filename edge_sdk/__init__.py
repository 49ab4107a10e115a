"""edge-sdk: a tiny model on the device answers the frames it is sure of, a big model in the cloud the rest.

    from edge_sdk import EdgeClassifier, open_camera

    with EdgeClassifier("trailcam", cloud="127.0.0.1:50051", budget="5MB/day") as edge:
        for frame in open_camera("picamera2"):
            print(edge.classify(frame))

Importing this package does nothing; each public name loads its module at its first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edge_sdk.budget.limits import Budget
    from edge_sdk.budget.usage import LedgerSnapshot
    from edge_sdk.camera import open_camera
    from edge_sdk.camera.gate import MotionGate
    from edge_sdk.config import PowerModel
    from edge_sdk.errors import EdgeError
    from edge_sdk.model.bundle import Bundle, open_bundle
    from edge_sdk.model.little import LittleModel
    from edge_sdk.model.policy import Preferences
    from edge_sdk.pipeline.classifier import EdgeClassifier
    from edge_sdk.security.credentials import Security
    from edge_sdk.store.journal import Journal
    from edge_sdk.types import Answer, Frame, Image, LinkState, Origin, Prediction, Reason

__version__ = "0.1.0"

__all__ = [
    "Answer",
    "Budget",
    "Bundle",
    "EdgeClassifier",
    "EdgeError",
    "Frame",
    "Image",
    "Journal",
    "LedgerSnapshot",
    "LinkState",
    "LittleModel",
    "MotionGate",
    "Origin",
    "PowerModel",
    "Prediction",
    "Preferences",
    "Reason",
    "Security",
    "open_bundle",
    "open_camera",
]

_HOME = {
    "Budget": "budget.limits",
    "Bundle": "model.bundle",
    "EdgeClassifier": "pipeline.classifier",
    "EdgeError": "errors",
    "Journal": "store.journal",
    "LedgerSnapshot": "budget.usage",
    "LittleModel": "model.little",
    "MotionGate": "camera.gate",
    "PowerModel": "config",
    "Preferences": "model.policy",
    "Security": "security.credentials",
    "open_bundle": "model.bundle",
    "open_camera": "camera",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'edge_sdk' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"edge_sdk.{_HOME.get(name, 'types')}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
