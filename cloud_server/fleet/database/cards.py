"""What people say of a device: where it stands, which group it belongs to, a note."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, insert, select

from cloud_server.fleet.database.opening import check_latest, one_writer, transaction
from cloud_server.fleet.database.tables import cards
from edge_sdk.errors import ConfigError
from edge_sdk.security.tokens import check_device_name
from edge_sdk.terminal.line import one_line

if TYPE_CHECKING:
    from sqlalchemy import Engine, Row

LONGEST_NOTE = 500
LONGEST_NAME = 200
"""Characters of a device's name: one that a certificate gives may have blanks, and be longer than a token's."""


@dataclass(frozen=True, slots=True)
class Card:
    """A device's card.

    Attributes:
        device: its name.
        latitude: degrees, north positive; None: not known.
        longitude: degrees, east positive; None: not known.
        group: the group that settings may name; "": none.
        note: for people.
        changed_by: the user who wrote it.
        changed_ms: when, milliseconds since 1970.
    """

    device: str
    latitude: float | None = None
    longitude: float | None = None
    group: str = ""
    note: str = ""
    changed_by: str = ""
    changed_ms: int = 0


class Cards:
    """The cards of a database; may be used on any thread.

    Args:
        engine: of the database.
        clock: seconds since 1970.
    """

    def __init__(self, engine: Engine, clock: Callable[[], float] = time.time) -> None:
        self._engine, self._clock = engine, clock

    def all(self) -> dict[str, Card]:
        """All cards, by device."""
        with transaction(self._engine) as connection:
            return {row.device: _card(row) for row in connection.execute(select(cards).order_by(cards.c.device))}

    def get(self, device: str) -> Card:
        """A device's card; an empty one where nobody has written it."""
        with transaction(self._engine) as connection:
            row = connection.execute(select(cards).where(cards.c.device == device)).one_or_none()
        return Card(device) if row is None else _card(row)

    def put(self, card: Card, by: str, since_ms: int | None = None) -> Card:
        """Write a card in place of the one before.

        Args:
            card: what it says; by whom and when is set here.
            by: the user's name.
            since_ms: `changed_ms` of the card that this one goes out from; None: whatever holds.

        Raises:
            Overtaken: somebody else has written the card meanwhile.
            ConfigError: a coordinate is out of range or alone, the device or the group is no name, or the note is too
                long.
        """
        check_name(card.device)
        if (card.latitude is None) != (card.longitude is None):
            raise ConfigError("expected both coordinates, or neither; got one")
        for name, value, most in (("latitude", card.latitude, 90), ("longitude", card.longitude, 180)):
            if value is not None and not -most <= value <= most:
                raise ConfigError(f"expected a {name} from -{most} to {most} degrees; got {value:g}")
        if card.group:
            check_device_name(card.group)
        if len(card.note) > LONGEST_NOTE or one_line(card.note) != card.note:
            raise ConfigError(
                f"expected a note of at most {LONGEST_NOTE} characters on one line; got {card.note!r:.99}"
            )
        now_ms = round(self._clock() * 1000)
        place = {"latitude": card.latitude, "longitude": card.longitude}
        said: dict[str, Any] = {
            "device": card.device,
            "note": card.note,
            "team": card.group,
            "changed_by": by,
            "changed_ms": now_ms,
        }
        before = select(cards).where(cards.c.device == card.device)
        with transaction(self._engine) as connection:
            one_writer(connection, cards)
            row = connection.execute(before).one_or_none()
            group, grouped_ms, whose, then_ms = (
                ("", 0, "", 0) if row is None else (row.team, row.team_ms, row.changed_by, row.changed_ms)
            )
            check_latest("place, group and note", whose, then_ms, since_ms)
            now_ms = said["changed_ms"] = max(now_ms, then_ms + 1)
            grouped_ms = grouped_ms if group == card.group else max(now_ms, grouped_ms + 1)
            connection.execute(delete(cards).where(cards.c.device == card.device))
            connection.execute(insert(cards).values(place | said | {"team_ms": grouped_ms}))
        return Card(card.device, card.latitude, card.longitude, card.group, card.note, by, now_ms)

    def remove(self, device: str) -> None:
        """Forget a card, if there is one."""
        with transaction(self._engine) as connection:
            connection.execute(delete(cards).where(cards.c.device == device))


def check_name(device: str) -> None:
    """Check that a text can be a device's name, by its token, its certificate or its address.

    Raises:
        ConfigError: it is empty, too long, not on one line, or begins or ends with a blank.
    """
    if not device or len(device) > LONGEST_NAME or one_line(device, LONGEST_NAME) != device or device.strip() != device:
        raise ConfigError(f"expected a device's name of 1 to {LONGEST_NAME} characters on one line; got {device!r:.99}")


def _card(row: Row[Any]) -> Card:
    return Card(row.device, row.latitude, row.longitude, row.team, row.note, row.changed_by, row.changed_ms)
