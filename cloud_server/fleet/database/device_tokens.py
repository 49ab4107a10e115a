"""Tokens of devices that people issue and revoke while the server runs; beside those of the tokens file."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select, update

from cloud_server.fleet.database.opening import transaction
from cloud_server.fleet.database.tables import device_tokens
from edge_sdk.errors import ConfigError
from edge_sdk.security.tokens import check_device_name, hash_token, new_token

if TYPE_CHECKING:
    from sqlalchemy import Engine, Row


@dataclass(frozen=True, slots=True)
class DeviceToken:
    """A token, without its secret.

    Attributes:
        device: whose it is.
        token_hash: SHA-256, hexadecimal.
        issued_by: the user.
        issued_ms: when, milliseconds since 1970.
        revoked_by: the user who ended it; None: it holds.
        revoked_ms: when; None: it holds.
    """

    device: str
    token_hash: str
    issued_by: str
    issued_ms: int
    revoked_by: str | None = None
    revoked_ms: int | None = None


class DeviceTokens:
    """The tokens of a database; may be used on any thread.

    Args:
        engine: of the database.
        clock: seconds since 1970.
    """

    def __init__(self, engine: Engine, clock: Callable[[], float] = time.time) -> None:
        self._engine, self._clock = engine, clock

    def issue(self, device: str, by: str, *, replace: bool = False) -> str:
        """A new token, which is shown this once.

        Args:
            device: its name.
            by: the user.
            replace: end the token that the device has.

        Raises:
            ConfigError: the name is not valid, or the device has a token and `replace` is not set.
        """
        check_device_name(device)
        token, now_ms = new_token(), self._now_ms()
        row = {"device": device, "hash": hash_token(token), "issued_by": by, "issued_ms": now_ms}
        with transaction(self._engine) as connection:
            if replace:
                connection.execute(_ended(device, by, now_ms))
            elif connection.execute(_holding(device)).first() is not None:
                raise ConfigError(f"expected a device without a token; {device} has one: replace it, or revoke it")
            connection.execute(insert(device_tokens).values(row))
        return token

    def revoke(self, device: str, by: str) -> None:
        """End a device's token: its next frame is refused.

        Raises:
            ConfigError: it has none here.
        """
        with transaction(self._engine) as connection:
            if not connection.execute(_ended(device, by, self._now_ms())).rowcount:
                raise ConfigError(f"expected a device with a token of this database; got {device!r}")

    def all(self) -> list[DeviceToken]:
        """All tokens, those that were revoked too, by device and age."""
        wanted = select(device_tokens).order_by(device_tokens.c.device, device_tokens.c.number)
        with transaction(self._engine) as connection:
            return [_token(row) for row in connection.execute(wanted)]

    def hashes(self) -> dict[str, str]:
        """Tokens that hold: SHA-256 -> device."""
        wanted = select(device_tokens.c.hash, device_tokens.c.device).where(device_tokens.c.revoked_ms.is_(None))
        with transaction(self._engine) as connection:
            return {row.hash: row.device for row in connection.execute(wanted)}

    def _now_ms(self) -> int:
        return round(self._clock() * 1000)


def _holding(device: str) -> Any:
    return select(device_tokens).where(device_tokens.c.device == device, device_tokens.c.revoked_ms.is_(None))


def _ended(device: str, by: str, now_ms: int) -> Any:
    holds = device_tokens.c.device == device, device_tokens.c.revoked_ms.is_(None)
    return update(device_tokens).where(*holds).values(revoked_by=by, revoked_ms=now_ms)


def _token(row: Row[Any]) -> DeviceToken:
    return DeviceToken(*tuple(row)[1:])
