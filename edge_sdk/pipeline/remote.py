"""The server's settings over the device's own: kind by kind, as far as they are accepted and can be used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from edge_sdk.archive_rule import ArchiveRule, Exits
from edge_sdk.config import SETTING_KINDS
from edge_sdk.errors import ConfigError
from edge_sdk.fleet.remote import HeldSettings, RemoteStore
from edge_sdk.pipeline.settings import Settings
from edge_sdk.terminal.line import one_line

_BUDGETS = {"upload": "budget", "compute": "compute_budget", "cloud": "cloud_budget"}


class RemoteLayer:
    """Lays the settings of a store over others.

    Args:
        store: has the server's.
        check: raises `ConfigError` for settings that the bundle cannot be used with.
    """

    def __init__(self, store: RemoteStore, check: Callable[[Settings], object]) -> None:
        self.store, self._check = store, check
        self._applied: Mapping[str, str] = {}
        self._refused: Mapping[str, str] = {}

    def over(self, local: Settings) -> Settings:
        """The settings that hold: `local`, and over them the server's kinds that are accepted and can be used."""
        applied, refused, settings = dict[str, str](), dict[str, str](), local
        for kind, value in self.store.values.items():
            name = one_line(kind, 40)
            if kind not in SETTING_KINDS:
                refused[name] = "this version of edge_sdk does not know it"
            elif not self.store.accepts(kind):
                refused[name] = "this device does not accept it"
            else:
                try:
                    candidate = _CHANGES[kind](settings, value)
                    self._check(candidate)
                except (ConfigError, TypeError) as error:
                    refused[name] = one_line(error)
                    continue
                settings, applied[name] = candidate, one_line(f"{kind} {_words(value)}")
        self._applied, self._refused = applied, refused
        return settings

    @property
    def held(self) -> HeldSettings:
        """Which of the server's settings hold."""
        return self.store.held(self._applied, self._refused)


def sentences(held: HeldSettings) -> list[str]:
    """What holds of the server's settings, and what does not, a line each, for people."""
    if not held.version:
        return [f"the server's settings are not followed: {held.reason}"] if held.reason else []
    at = "" if held.received_at is None else f" at {held.received_at:%Y-%m-%d %H:%M} UTC"
    whose = f"set by server {held.server}{at}, signed by {held.key}, version {held.version}"
    lines = [f"{text}, {whose}" for text in held.applied.values()]
    lines += [
        f"{kind} of the server is not followed: {reason} (version {held.version})"
        for kind, reason in held.refused.items()
    ]
    if held.reason:
        lines.append(f"later settings of the server are not followed: {held.reason}")
    return lines


def _threshold(settings: Settings, value: Any) -> Settings:
    return replace(settings, threshold=value)


def _budget(settings: Settings, value: Any) -> Settings:
    if not isinstance(value, dict) or not value or not set(value) <= set(_BUDGETS):
        raise ConfigError(f"expected budgets by {', '.join(_BUDGETS)}; got {value!r}")
    if not all(text is None or isinstance(text, str) for text in value.values()):
        raise ConfigError(f"expected budgets in words, or null for none; got {value!r}")
    return replace(settings, **{_BUDGETS[name]: text for name, text in value.items()})


def _private(settings: Settings, value: Any) -> Settings:
    """Classes are added to the device's own, and the bound is the stricter of the two."""
    if not isinstance(value, dict) or not isinstance(labels := value.get("never_upload", []), list):
        raise ConfigError(f'expected {{"never_upload": [classes], "above": 0.2}}; got {value!r}')
    wants = settings.preferences
    above = value.get("above", wants.private_above)
    if isinstance(above, bool) or not isinstance(above, int | float):
        raise ConfigError(f"expected above as a probability; got {above!r}")
    never = tuple(dict.fromkeys((*wants.never_upload, *map(str, labels))))
    return replace(
        settings, preferences=replace(wants, never_upload=never, private_above=min(above, wants.private_above))
    )


def _audit(settings: Settings, value: Any) -> Settings:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(f"expected the share of audits as a number; got {value!r}")
    return replace(settings, preferences=replace(settings.preferences, audit=value))


def _archive(settings: Settings, value: Any) -> Settings:
    """The device's own classes that are never stored stay."""
    if value is not None and not isinstance(value, str):
        raise ConfigError(f"expected the archive's rule as a text, or null for none; got {value!r}")
    rule, own = None if value is None else ArchiveRule.parse(value), settings.storage.archive_rule
    if own is not None and own.never_store:
        rule = rule or replace(own, exits=Exits.NONE, classes={}, offloads=False, audits=False, crop=False)
        never = tuple(dict.fromkeys((*own.never_store, *rule.never_store)))
        rule = replace(rule, never_store=never, never_above=min(rule.never_above, own.never_above))
    return replace(settings, storage=replace(settings.storage, archive=rule))


_CHANGES: dict[str, Callable[[Settings, Any], Settings]] = {
    "threshold": _threshold,
    "budget": _budget,
    "private": _private,
    "audit": _audit,
    "archive": _archive,
}


def _words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_words(one)}" for name, one in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else "none" if value is None else str(value)
