"""Devices that people expect: they have a token, a card or settings of their own, and no report of theirs is kept."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from cloud_server.fleet.database.cards import Card
from cloud_server.fleet.database.setting_changes import Change
from cloud_server.fleet.fleet import Fleet


@dataclass(frozen=True, slots=True)
class Expected:
    """A device of which nothing was heard, or nothing any more.

    Attributes:
        name: its name, as people wrote it: it may be a slip of the pen.
        has_token: it is let in by a token.
        card: what people say of it; None: nothing.
        settings: what is wanted of it by its own name; None: nothing.
    """

    name: str
    has_token: bool
    card: Card | None
    settings: Change | None


def expected(fleet: Fleet, tokens: Collection[str], reported: Collection[str]) -> list[Expected]:
    """Those of a fleet, by name.

    Args:
        fleet: knows cards and settings.
        tokens: devices that have a token, of the database or of the tokens file.
        reported: devices of which reports are kept: these are not among them.

    Raises:
        Unavailable: the database does not answer.
    """
    cards, settings = fleet.cards.all(), {one.target: one for one in fleet.settings.of_devices()}
    names = {*tokens, *cards, *settings} - {*reported}
    return [Expected(name, name in tokens, cards.get(name), settings.get(name)) for name in sorted(names)]


def forget(fleet: Fleet, name: str, by: str) -> None:
    """Take away what people said and wanted of a device by its name; its history of settings stays.

    Args:
        fleet: knows cards and settings.
        name: of the device.
        by: the user.

    Raises:
        ConfigError: it has settings, and this server has no key to sign that it has none any more.
        Unavailable: the database does not answer.
    """
    if fleet.settings.of(name):
        fleet.settings.put(name, {}, by)
    fleet.cards.remove(name)
