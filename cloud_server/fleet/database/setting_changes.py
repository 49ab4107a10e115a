"""Settings that people want of a device, a group or all devices: who changed what and when, signed as they go out."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import func, insert, select

from cloud_server.fleet.database.cards import check_name
from cloud_server.fleet.database.opening import check_latest, one_writer, transaction
from cloud_server.fleet.database.tables import cards, setting_changes
from edge_sdk.errors import ConfigError
from edge_sdk.fleet.signed import EVERY_DEVICE, Body, sign
from edge_sdk.fleet.wanted import check_wanted
from edge_sdk.security.tokens import check_device_name
from edge_sdk.terminal.line import one_line

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

GROUP = "group:"
"""Before the name of a group, as a target."""


@dataclass(frozen=True, slots=True)
class Change:
    """One change of settings.

    Attributes:
        target: a device's name, "group:NAME", or "*" for all devices.
        settings: by kind, as `edge_sdk.fleet.wanted`; in place of all that the target had before.
        changed_by: the user.
        changed_ms: when, milliseconds since 1970; each is later than the one before.
    """

    target: str
    settings: dict[str, Any]
    changed_by: str
    changed_ms: int


class SettingChanges:
    """The settings of a database; may be used on any thread.

    A device gets those of its name over those of its group over those for all, kind by kind, signed for it alone. The
    version that it sees is the time of the latest change among them, milliseconds since 1970.

    Args:
        engine: of the database.
        key: PEM file of the operator's settings key; None: nothing can be changed here, and nothing goes out.
        clock: seconds since 1970.

    Raises:
        ConfigError: the key cannot be used.
    """

    def __init__(self, engine: Engine, key: Path | None = None, clock: Callable[[], float] = time.time) -> None:
        self._engine, self._key, self._clock = engine, key, clock
        if key is not None:
            sign(key, Body(device="-", version=1, made_at=datetime.now(UTC)))  # tells at the start what is wrong

    @property
    def can_sign(self) -> bool:
        """Whether settings can be changed here."""
        return self._key is not None

    def put(self, target: str, settings: Mapping[str, Any], by: str, since_ms: int | None = None) -> Change:
        """Want these settings of a target from now on, in place of all that it had; {}: none of its own.

        Args:
            target: a device's name, "group:NAME", or "*" for all devices.
            settings: by kind.
            by: the user.
            since_ms: `Change.changed_ms` of the change that this one goes out from, 0: of none; None: whatever holds.

        Raises:
            Overtaken: somebody else has changed the target's meanwhile.
            ConfigError: this server has no settings key, the target is no name, or a setting is not as expected.
        """
        if self._key is None:
            raise ConfigError(
                "expected a settings key to sign with (--settings-key); without one sign them with `edge-sdk settings "
                "sign`, and put them into the folder of --settings"
            )
        if target.startswith(GROUP):
            check_device_name(target.removeprefix(GROUP))
        elif target != EVERY_DEVICE:
            check_name(target)
        try:
            wanted = msgspec.json.encode(check_wanted(settings)).decode()
        except UnicodeError as error:
            raise ConfigError(f"expected settings of whole characters; {one_line(error)}") from None
        with transaction(self._engine) as connection:
            one_writer(connection, setting_changes)
            mine = select(setting_changes).where(setting_changes.c.target == target)
            last = connection.execute(mine.order_by(setting_changes.c.number.desc()).limit(1)).one_or_none()
            who, when_ms = ("", 0) if last is None else (last.changed_by, last.changed_ms)
            check_latest("settings", who, when_ms, since_ms)
            latest = connection.scalar(select(func.max(setting_changes.c.changed_ms))) or 0
            changed_ms = max(round(self._clock() * 1000), latest + 1)
            row = {"target": target, "settings": wanted, "changed_by": by, "changed_ms": changed_ms}
            connection.execute(insert(setting_changes).values(row))
        return Change(target, dict(settings), by, changed_ms)

    def history(self, target: str = "", limit: int = 100) -> list[Change]:
        """What was changed, of one target or of all, the latest first."""
        wanted = select(setting_changes).order_by(setting_changes.c.number.desc()).limit(limit)
        if target:
            wanted = wanted.where(setting_changes.c.target == target)
        with transaction(self._engine) as connection:
            return [_change(row) for row in connection.execute(wanted)]

    def of(self, target: str) -> dict[str, Any]:
        """What is wanted of a target by its own name, without what its group or all devices have."""
        return self.latest(target).settings

    def latest(self, target: str) -> Change:
        """The latest change of a target; an empty one at 0 where there is none."""
        found = self.history(target, 1)
        return found[0] if found else Change(target, {}, "", 0)

    def of_devices(self) -> list[Change]:
        """The latest change of each device that has settings of its own, by name."""
        newest = select(func.max(setting_changes.c.number)).group_by(setting_changes.c.target)
        wanted = select(setting_changes).where(setting_changes.c.number.in_(newest))
        with transaction(self._engine) as connection:
            found = [_change(row) for row in connection.execute(wanted.order_by(setting_changes.c.target))]
        return [
            one for one in found if one.settings and one.target != EVERY_DEVICE and not one.target.startswith(GROUP)
        ]

    def wanted(self, device: str) -> dict[str, Any]:
        """What is wanted of a device in all."""
        with transaction(self._engine) as connection:
            return self._merged(connection, device)[0]

    def on_the_way(self, device: str, held: int) -> dict[str, Any] | None:
        """What is wanted of a device in all, and goes out with its next report; None: it has that, or nothing goes out.

        Args:
            device: its name.
            held: the version that it has.
        """
        if self._key is None:
            return None
        with transaction(self._engine) as connection:
            settings, version = self._merged(connection, device)
        return settings if version > held else None

    def newest(self, device: str, above: int) -> bytes | None:
        """The signed settings for a device, of a version above one that it has; None: there are none.

        Args:
            device: its name.
            above: the version that it has.
        """
        if self._key is None:
            return None
        with transaction(self._engine) as connection:
            settings, version = self._merged(connection, device)
        if version <= above:
            return None
        made_at = datetime.fromtimestamp(version / 1000, UTC)
        return sign(self._key, Body(device=device, version=version, made_at=made_at, settings=settings))

    def _merged(self, connection: Connection, device: str) -> tuple[dict[str, Any], int]:
        """What is wanted of a device, and its version; 0: nothing was ever wanted."""
        card = connection.execute(select(cards.c.team, cards.c.team_ms).where(cards.c.device == device)).one_or_none()
        group, version = (card.team, 0) if card is not None else ("", 0)
        settings: dict[str, Any] = {}
        for target in (EVERY_DEVICE, *([GROUP + group] if group else []), device):
            newest = select(setting_changes).where(setting_changes.c.target == target)
            row = connection.execute(newest.order_by(setting_changes.c.number.desc()).limit(1)).one_or_none()
            if row is not None:
                settings |= _change(row).settings
                version = max(version, row.changed_ms)
        if card is not None and card.team_ms and self._group_was_told(connection):
            version = max(version, card.team_ms)
        return settings, version

    def _group_was_told(self, connection: Connection) -> bool:
        """Whether any group ever had settings: only then does a move between groups change a device's."""
        told = select(func.count()).select_from(setting_changes).where(setting_changes.c.target.startswith(GROUP))
        return bool(connection.scalar(told))


def _change(row: Any) -> Change:
    return Change(row.target, msgspec.json.decode(row.settings), row.changed_by, row.changed_ms)
