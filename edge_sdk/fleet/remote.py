"""The settings that a server hands out, as a device keeps them: checked, in one file, applied again at each start."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from edge_sdk.config import RemoteSettings
from edge_sdk.durable.clock import RELEASED_S
from edge_sdk.durable.files import write_whole
from edge_sdk.fleet.signed import (
    EVERY_DEVICE,
    SettingsKey,
    SignedSettings,
    Untrusted,
    has_expired,
    read_signed,
)
from edge_sdk.security.credentials import Security
from edge_sdk.terminal.line import one_line

_log = logging.getLogger(__name__)

FILE = "settings.json"
"""In the state folder: the signed settings that hold, and who handed them out."""


class Kept(msgspec.Struct, frozen=True):
    """What the file holds.

    Attributes:
        signed: the settings, as they came.
        server: who handed them out.
        received_at: when, by the device's clock.
        applied: what holds of them, by kind, in words.
        refused: kinds that do not hold, each with the reason.
        judged_at: when the device last found out what holds, by its clock; None: it did not say yet.
    """

    signed: str
    server: str
    received_at: datetime
    applied: dict[str, str] = {}
    refused: dict[str, str] = {}
    judged_at: datetime | None = None


def read_kept(state: Path) -> Kept:
    """What a device keeps of its server's settings; nothing is checked.

    Raises:
        FileNotFoundError: it keeps none.
        OSError, ValueError: they cannot be read.
    """
    return msgspec.json.decode((state / FILE).read_bytes(), type=Kept)


@dataclass(frozen=True, slots=True)
class HeldSettings:
    """Which signed settings hold.

    Attributes:
        takes: the device has a key to check settings with.
        version: of those that were accepted last; 0: none were.
        key: the id of the key that signed them.
        server: who handed them out.
        received_at: when, by the device's clock.
        applied: what holds of them, by kind, in words.
        refused: kinds that do not hold, each with the reason.
        reason: why the latest that came were not accepted; "": they were.
    """

    takes: bool = False
    version: int = 0
    key: str = ""
    server: str = ""
    received_at: datetime | None = None
    applied: Mapping[str, str] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""


class RemoteStore:
    """Takes signed settings, and keeps the newest that can be trusted. `offer` is the uplink's, the rest anybody's.

    Args:
        wants: the key, and which kinds are accepted; None: no settings are taken.
        state: the state folder.
        security: names the device, where `wants` does not: by its certificate.
        server: who hands them out, "host:port".
        wall_s: this machine's clock, seconds since 1970. While it stands before this software's release, nothing has
            expired.

    Raises:
        ConfigError: the key cannot be read.
    """

    def __init__(
        self,
        wants: RemoteSettings | None,
        state: Path,
        security: Security,
        server: str,
        wall_s: Callable[[], float],
    ) -> None:
        self._wants, self._path, self._wall_s = wants, state / FILE, wall_s
        self._from: Callable[[], str] = lambda: server
        self._key = None if wants is None else SettingsKey(Path(wants.key))
        self._names = {EVERY_DEVICE, *_names(wants, security)}
        self._signed: SignedSettings | None = None
        self._kept: Kept | None = None
        self._was_expired = self._told = False
        self._changed: Callable[[], None] = lambda: None
        self.reason = ""
        if self._key is not None:
            self._load(self._key)

    @property
    def takes(self) -> bool:
        """Whether settings are taken at all."""
        return self._key is not None

    @property
    def version(self) -> int:
        """Of the settings that were accepted last; 0: none were."""
        return 0 if self._signed is None else self._signed.body.version

    @property
    def values(self) -> Mapping[str, Any]:
        """The settings that hold now, by kind; none where they have expired."""
        signed = self._signed
        return {} if signed is None or self._expired(signed) else signed.body.settings

    def accepts(self, kind: str) -> bool:
        """Whether the device's own configuration lets the server set this kind."""
        return self._wants is not None and kind in self._wants.accept

    def comes_from(self, server: Callable[[], str]) -> None:
        """Have `server` called for who hands settings out, where several may."""
        self._from = server

    def on_change(self, changed: Callable[[], None]) -> None:
        """Have `changed` called when other settings hold: at once, and whenever they change."""
        self._changed = changed
        changed()

    def look(self) -> None:
        """Call `on_change`'s where the settings have expired meanwhile."""
        signed = self._signed
        if signed is not None and not self._was_expired and self._expired(signed):
            self._was_expired = True
            _log.warning("the server's settings, version %d, have expired: the device's own hold", self.version)
            self._changed()

    def offer(self, content: bytes) -> bool:
        """Take what a server has sent as settings; whether they are accepted, and are on the disk."""
        if self._key is None:
            if not self._told:
                self._told = True
                _log.warning("the server sends settings; they are ignored, since no key for them was named (remote=)")
            return False
        try:
            signed = read_signed(content)
            self._check(signed, self._key)
            kept = Kept(content.decode(), self._from(), self._now())
            write_whole(self._path, msgspec.json.encode(kept), durable=True, mode=0o600)
        except (Untrusted, OSError, UnicodeDecodeError) as error:
            if (reason := one_line(error)) != self.reason:
                _log.warning("the server's settings are not followed: %s", reason)
            self.reason = reason
            return False
        self._signed, self._kept, self.reason, self._was_expired = signed, kept, "", False
        _log.info("settings of version %d, signed by %s, came from %s", self.version, self._key.key_id, kept.server)
        self._changed()
        return True

    def remember(self, held: HeldSettings) -> None:
        """Put down what came of the settings, for those who read the state folder; where it changed."""
        kept = self._kept
        if kept is None or held.version != self.version:
            return
        if kept.judged_at is not None and (kept.applied, kept.refused) == (held.applied, held.refused):
            return
        self._kept = kept = msgspec.structs.replace(
            kept, applied=dict(held.applied), refused=dict(held.refused), judged_at=self._now()
        )
        try:
            write_whole(self._path, msgspec.json.encode(kept), durable=True, mode=0o600)
        except OSError as error:
            _log.warning("what holds of the server's settings cannot be written down: %s", one_line(error))

    def held(self, applied: Mapping[str, str], refused: Mapping[str, str]) -> HeldSettings:
        """Which settings hold, with what came of each kind."""
        kept, key = self._kept, self._key
        return HeldSettings(
            takes=self.takes,
            version=self.version,
            key="" if key is None or self._signed is None else key.key_id,
            server="" if kept is None else kept.server,
            received_at=None if kept is None else kept.received_at,
            applied=applied,
            refused=refused,
            reason=self.reason,
        )

    def _check(self, signed: SignedSettings, key: SettingsKey) -> None:
        key.check(signed)
        body = signed.body
        if body.device not in self._names:
            mine = ", ".join(sorted(self._names - {EVERY_DEVICE})) or "a device without a name (remote=)"
            raise Untrusted(f"they are for {one_line(body.device, 64)}, and this is {mine}")
        if body.version <= self.version:
            raise Untrusted(f"expected a version above {self.version}; got {body.version}")
        if self._expired(signed):
            raise Untrusted(f"they have expired at {body.expires_at}")

    def _now(self) -> datetime:
        return datetime.fromtimestamp(max(0.0, self._wall_s()), UTC)

    def _expired(self, signed: SignedSettings) -> bool:
        now_s = self._wall_s()
        return now_s >= RELEASED_S and has_expired(signed.body, datetime.fromtimestamp(now_s, UTC))

    def _load(self, key: SettingsKey) -> None:
        """What an earlier run kept, checked again: the key may be another one now, and the file damaged."""
        try:
            kept = read_kept(self._path.parent)
            signed = read_signed(kept.signed.encode())
            key.check(signed)
        except FileNotFoundError:
            return
        except (OSError, ValueError) as error:
            _log.warning("the settings in %s are not followed: %s", self._path, one_line(error))
            return
        if signed.body.device not in self._names:
            _log.warning("the settings in %s are not followed: they are for another device", self._path)
            return
        self._signed, self._kept, self._was_expired = signed, kept, self._expired(signed)


def _names(wants: RemoteSettings | None, security: Security) -> list[str]:
    """The device's name: as configured, else by its certificate."""
    if wants is None:
        return []
    if wants.device is not None:
        return [wants.device]
    if security.cert is None:
        return []
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    try:
        cert = x509.load_pem_x509_certificate(Path(security.cert).read_bytes())
    except (OSError, ValueError):  # which the link tells
        return []
    return [str(one.value) for one in cert.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
