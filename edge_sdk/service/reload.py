"""What changes when the config file is read again while the device runs, and what waits for a restart."""

from __future__ import annotations

from typing import Any

from edge_sdk.device_config.device import DeviceConfig
from edge_sdk.device_config.keys import all_keys
from edge_sdk.pipeline.classifier import EdgeClassifier

_AT_ONCE = {"bundle.threshold", "storage.archive", "service.log", "service.repeat_after_s"}
_SECTIONS_AT_ONCE = {"budgets", "preferences"}
_OPTIONS = ("threshold", "budget", "compute_budget", "cloud_budget", "preferences")


def changed(old: DeviceConfig, new: DeviceConfig) -> list[str]:
    """The keys whose values differ, as "section.key"."""
    return [
        key.full for key in all_keys().values() if _value(old, key.home, key.name) != _value(new, key.home, key.name)
    ]


def holds_at_once(full: str) -> bool:
    """Whether a change of this key needs no restart."""
    return full in _AT_ONCE or full.split(".")[0] in _SECTIONS_AT_ONCE


def apply(edge: EdgeClassifier, new: DeviceConfig) -> None:
    """Let the classifier go by what can change while it runs.

    Raises:
        ConfigError: a value cannot be used; all stays as it was.
    """
    options = new.classifier_options()
    edge.reconfigure(**{name: options[name] for name in _OPTIONS}, archive=options["storage"].archive)


def sentences(old: DeviceConfig, new: DeviceConfig) -> tuple[str, str]:
    """What holds from now on, and what waits for a restart; "" where there is no such thing."""
    keys = changed(old, new)
    return (
        _said("changed", [key for key in keys if holds_at_once(key)]),
        _said("these changes wait for a restart", [key for key in keys if not holds_at_once(key)]),
    )


def _said(what: str, keys: list[str]) -> str:
    return f"{what}: {', '.join(keys)}" if keys else ""


def _value(config: DeviceConfig, home: type, name: str) -> Any:
    part: Any = config.part(home)
    return None if part is None else getattr(part, name)
