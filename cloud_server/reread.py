"""The settings of the command read again while the server runs: what holds at once, and what waits for a restart."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cloud_server.command_settings import Settings
    from cloud_server.config import ServerConfig

_log = logging.getLogger(__name__)

LIMITS = ("max_frames_per_s", "burst", "max_streams", "max_streams_per_device")
LABELS = ("label_map", "label_group")
AT_ONCE = frozenset({*LIMITS, *LABELS, "log_level"})
"""Keys whose change needs no restart. What `[[models]]` says is read by the models themselves."""


class Reread:
    """A config file that is read again.

    Args:
        path: the file.
        now: the settings that hold.
        read: reads command line and file anew.
    """

    def __init__(self, path: Path, now: Settings, read: Callable[[], Settings]) -> None:
        self.path = path
        self._values: Mapping[str, Any] = now.values
        self._read = read

    def take(self, config: ServerConfig) -> tuple[ServerConfig, list[str]]:
        """The settings that hold from now on, and the keys that changed in them; what waits for a restart is logged.

        Args:
            config: the settings that hold.

        Raises:
            EdgeError: the file cannot be used; all stays as it is.
        """
        fresh, old = self._read().values, self._values
        changed = [name for name in fresh if fresh[name] != old.get(name)]
        at_once = [name for name in changed if name in AT_ONCE]
        if waits := [name for name in changed if name not in AT_ONCE]:
            _log.warning("%s: these changes wait for a restart: %s", self.path, ", ".join(waits))
        self._values = {**old, **{name: fresh[name] for name in at_once}}
        if "log_level" in at_once:
            logging.getLogger().setLevel(fresh["log_level"].upper())
        kept = {name: fresh[name] for name in at_once if name != "log_level"}
        if "label_group" in kept:
            kept["label_group"] = kept["label_group"] or ""
        return replace(config, **kept), [f"{name} {_shown(old.get(name))} -> {_shown(fresh[name])}" for name in at_once]


def _shown(value: object) -> str:
    return "none" if value is None else f"{value}"
