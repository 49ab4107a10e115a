"""Tokens of devices, as the page shows and issues them: in the fleet's database, or in the tokens file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cloud_server.fleet.database.device_tokens import DeviceTokens
from edge_sdk.errors import ConfigError
from edge_sdk.security.tokens import add_token, new_token, read_tokens, remove_token

_NOWHERE = "this server lets every device in: start it with --require-tokens"


@dataclass(frozen=True, slots=True)
class KnownDevice:
    """A device that is let in.

    Attributes:
        name: its name.
        digest: the first digits of its token's SHA-256.
        issued_by: who issued it; "": it stands in the tokens file.
        issued_ms: when, milliseconds since 1970; 0: not known.
    """

    name: str
    digest: str
    issued_by: str = ""
    issued_ms: int = 0


class Keys:
    """Issues and revokes.

    Args:
        issued: tokens in the database; None: devices that have one are not let in by it.
        file: the tokens file; None: there is none. New tokens go into it where there is no database for them.
    """

    def __init__(self, issued: DeviceTokens | None, file: Path | None) -> None:
        self._issued, self._file = issued, file

    @property
    def can_issue(self) -> bool:
        """Whether devices need a token here."""
        return self._issued is not None or self._file is not None

    def known(self) -> list[KnownDevice]:
        """Devices that are let in, by name."""
        found = []
        if self._file is not None and self._file.exists():
            found = [KnownDevice(name, digest[:12]) for name, digest in read_tokens(self._file).hashes.items()]
        if self._issued is not None:
            held = [one for one in self._issued.all() if one.revoked_ms is None]
            found += [KnownDevice(one.device, one.token_hash[:12], one.issued_by, one.issued_ms) for one in held]
        return sorted(found, key=lambda one: one.name)

    def issue(self, device: str, by: str) -> str:
        """A new token, which is shown this once.

        Raises:
            ConfigError: the name is not valid, the device has a token, or no token is needed.
        """
        if any(one.name == device for one in self.known()):
            raise ConfigError(f"expected a device without a token; {device} has one: revoke it first")
        if self._issued is not None:
            return self._issued.issue(device, by)
        if self._file is None:
            raise ConfigError(_NOWHERE)
        token = new_token()
        add_token(self._file, device, token)
        return token

    def revoke(self, device: str, by: str) -> None:
        """End a device's token.

        Raises:
            ConfigError: it has none, or another device has the same one, which goes on being let in.
        """
        if self._issued is not None and any(
            one.revoked_ms is None and one.device == device for one in self._issued.all()
        ):
            return self._issued.revoke(device, by)
        if self._file is None:
            raise ConfigError(_NOWHERE)
        if others := remove_token(self._file, device):
            raise ConfigError(f"{device} is revoked; {', '.join(others)} has the same token and goes on being let in")
        return None
