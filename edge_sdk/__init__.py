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
    from edge_sdk.account import LedgerSnapshot
    from edge_sdk.budget import Budget
    from edge_sdk.bundle import Bundle, open_bundle
    from edge_sdk.camera import open_camera
    from edge_sdk.config import PowerModel
    from edge_sdk.errors import EdgeError
    from edge_sdk.journal import Journal
    from edge_sdk.model import LittleModel
    from edge_sdk.motion import MotionGate
    from edge_sdk.pipeline import EdgeClassifier
    from edge_sdk.policy import Preferences
    from edge_sdk.security import Security
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
    "Budget": "budget",
    "Bundle": "bundle",
    "EdgeClassifier": "pipeline",
    "EdgeError": "errors",
    "Journal": "journal",
    "LedgerSnapshot": "account",
    "LittleModel": "model",
    "MotionGate": "motion",
    "PowerModel": "config",
    "Preferences": "policy",
    "Security": "security",
    "open_bundle": "bundle",
    "open_camera": "camera",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'edge_sdk' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"edge_sdk.{_HOME.get(name, 'types')}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
