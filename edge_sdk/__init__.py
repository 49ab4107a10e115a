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
    from edge_sdk.alerts.alerts import Alerts
    from edge_sdk.alerts.mqtt import MqttAlerts
    from edge_sdk.alerts.rule import AlertRule
    from edge_sdk.alerts.webhook import Webhook
    from edge_sdk.archive_rule import ArchiveRule
    from edge_sdk.budget.limits import Budget, Resource
    from edge_sdk.budget.usage import BudgetState, Usage
    from edge_sdk.camera import Camera, Fault, open_camera
    from edge_sdk.camera.detector import Detector
    from edge_sdk.camera.gate import MotionGate
    from edge_sdk.config import PowerModel, RemoteSettings, ReportSettings, StorageSettings, UplinkSettings
    from edge_sdk.device_config.device import DeviceConfig, load_config
    from edge_sdk.durable.clock import Clock
    from edge_sdk.errors import (
        BundleError,
        CameraError,
        ConfigError,
        EdgeError,
        ImageError,
        RuntimeMissing,
        StateError,
        StorageError,
    )
    from edge_sdk.link.transport import Transport
    from edge_sdk.model.bundle import Bundle, open_bundle
    from edge_sdk.model.bundle_detector import BundleDetector
    from edge_sdk.model.little import LittleModel
    from edge_sdk.model.policy import Preferences
    from edge_sdk.model.priors import Place
    from edge_sdk.model.runtime import Runtime
    from edge_sdk.pipeline.blur import Blur
    from edge_sdk.pipeline.classifier import EdgeClassifier
    from edge_sdk.pipeline.events import EventSettings
    from edge_sdk.security.credentials import Security
    from edge_sdk.store.journal import Journal
    from edge_sdk.types import Answer, Event, Frame, Image, LinkState, Origin, Prediction, Reason, Region, View

__version__ = "0.1.0"

__all__ = [
    "AlertRule",
    "Alerts",
    "Answer",
    "ArchiveRule",
    "Blur",
    "Budget",
    "BudgetState",
    "Bundle",
    "BundleDetector",
    "BundleError",
    "Camera",
    "CameraError",
    "Clock",
    "ConfigError",
    "Detector",
    "DeviceConfig",
    "EdgeClassifier",
    "EdgeError",
    "Event",
    "EventSettings",
    "Fault",
    "Frame",
    "Image",
    "ImageError",
    "Journal",
    "LinkState",
    "LittleModel",
    "MotionGate",
    "MqttAlerts",
    "Origin",
    "Place",
    "PowerModel",
    "Prediction",
    "Preferences",
    "Reason",
    "Region",
    "RemoteSettings",
    "ReportSettings",
    "Resource",
    "Runtime",
    "RuntimeMissing",
    "Security",
    "StateError",
    "StorageError",
    "StorageSettings",
    "Transport",
    "UplinkSettings",
    "Usage",
    "View",
    "Webhook",
    "load_config",
    "open_bundle",
    "open_camera",
]

_HOME = {
    "AlertRule": "alerts.rule",
    "Alerts": "alerts.alerts",
    "Answer": "types",
    "Blur": "pipeline.blur",
    "ArchiveRule": "archive_rule",
    "Budget": "budget.limits",
    "BudgetState": "budget.usage",
    "Bundle": "model.bundle",
    "BundleDetector": "model.bundle_detector",
    "BundleError": "errors",
    "Camera": "camera",
    "CameraError": "errors",
    "Clock": "durable.clock",
    "ConfigError": "errors",
    "Detector": "camera.detector",
    "DeviceConfig": "device_config.device",
    "EdgeClassifier": "pipeline.classifier",
    "EdgeError": "errors",
    "Event": "types",
    "EventSettings": "pipeline.events",
    "Fault": "camera",
    "Frame": "types",
    "Image": "types",
    "ImageError": "errors",
    "Journal": "store.journal",
    "LinkState": "types",
    "LittleModel": "model.little",
    "MotionGate": "camera.gate",
    "MqttAlerts": "alerts.mqtt",
    "Origin": "types",
    "Place": "model.priors",
    "PowerModel": "config",
    "Prediction": "types",
    "Preferences": "model.policy",
    "Reason": "types",
    "Region": "types",
    "RemoteSettings": "config",
    "ReportSettings": "config",
    "Resource": "budget.limits",
    "Runtime": "model.runtime",
    "RuntimeMissing": "errors",
    "Security": "security.credentials",
    "StateError": "errors",
    "StorageError": "errors",
    "StorageSettings": "config",
    "UplinkSettings": "config",
    "Transport": "link.transport",
    "Usage": "budget.usage",
    "View": "types",
    "Webhook": "alerts.webhook",
    "load_config": "device_config.device",
    "open_bundle": "model.bundle",
    "open_camera": "camera",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'edge_sdk' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"edge_sdk.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
