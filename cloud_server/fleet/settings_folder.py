"""Signed settings that the server hands out: the files of one folder, read again whenever they change.

The server has no key and judges nothing: it tells by the name in a file whose it is. Each device checks the signature.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

from edge_sdk.durable.files import file_version, open_regular
from edge_sdk.errors import ConfigError
from edge_sdk.fleet.signed import EVERY_DEVICE, MOST_BYTES, SignedSettings, Untrusted, read_signed

_log = logging.getLogger(__name__)

SUFFIX = ".settings"
MOST_FILES = 10_000


class SettingsFolder:
    """The settings of each device. For one thread at a time.

    Args:
        folder: its files named `*.settings`, as `edge-sdk settings sign` writes them.

    Raises:
        ConfigError: the folder cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._versions: dict[str, tuple[int, ...] | None] = {}
        self._found: dict[str, SignedSettings] = {}
        try:
            self._look()
        except OSError as error:
            raise ConfigError(f"expected a folder of signed settings at {folder}; {error.strerror or error}") from error

    def newest(self, device: str, above: int) -> bytes | None:
        """The settings for a device, of a version above one that it has; None: there are none.

        Args:
            device: its name. Settings with that name go before those for all devices.
            above: the version that it has.
        """
        try:
            self._look()
        except OSError as error:
            _log.error("the settings in %s cannot be read, those known before are handed out: %s", self._folder, error)
        signed = self._found.get(device) or self._found.get(EVERY_DEVICE)
        return signed.content if signed is not None and signed.body.version > above else None

    def _look(self) -> None:
        """Read the files anew where one has changed."""
        names = sorted(entry.name for entry in os.scandir(self._folder) if entry.name.endswith(SUFFIX))[:MOST_FILES]
        versions = {name: file_version(self._folder / name) for name in names}
        if versions == self._versions:
            return
        found: dict[str, SignedSettings] = {}
        for name in names:
            try:
                with open_regular(self._folder / name) as file:
                    signed = read_signed(file.read(MOST_BYTES + 1))
            except (OSError, Untrusted) as error:
                _log.warning("%s is not handed out: %s", self._folder / name, error)
                continue
            known = found.get(signed.body.device)
            if known is None or signed.body.version > known.body.version:
                found[signed.body.device] = signed
        self._versions, self._found = versions, found
        _log.info("%d files of signed settings in %s", len(found), self._folder)
