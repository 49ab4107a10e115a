"""The fleet: its database, and what people and programs ask of it, in one object for page, API and command."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cloud_server.fleet.database.cards import Cards
from cloud_server.fleet.database.device_tokens import DeviceTokens
from cloud_server.fleet.database.labels import Labels
from cloud_server.fleet.database.opening import FILE, address_of, is_postgresql, open_database, told
from cloud_server.fleet.database.setting_changes import SettingChanges
from cloud_server.fleet.database.users import Users
from cloud_server.fleet.labelled_audits import LabelledAudits
from edge_sdk.errors import ConfigError
from edge_sdk.fleet import report_file
from edge_sdk.fleet.report_rows import Rows, rows_of

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from cloud_server.config import ServerConfig


class Fleet:
    """What is known of the fleet; may be used on any thread.

    Args:
        engine: of the database; `close` closes it.
        reports: folder of the reports beside SQLite; None: there are none.
        settings_key: PEM file of the operator's settings key; None: settings are not changed here.

    Attributes:
        engine: of the database.
        users: who may see and change what.
        labels: what people say of frames.
        labelled_audits: audits among these, for the estimate of a device's accuracy.
        cards: where devices stand, and their groups.
        tokens: of devices, issued here.
        settings: wanted of devices.
        reports: where the reports are: a folder, or a `postgresql://` address with its password; None: nowhere.
        name: of the database, for people: without a password.

    Raises:
        ConfigError: the settings key cannot be used.
    """

    def __init__(self, engine: Engine, *, reports: Path | None = None, settings_key: Path | None = None) -> None:
        self.engine, self.name = engine, told(engine)
        self.users, self.labels, self.cards = Users(engine), Labels(engine), Cards(engine)
        self.tokens, self.settings = DeviceTokens(engine), SettingChanges(engine, settings_key)
        self.reports: Path | str | None = reports
        if is_postgresql(engine):
            self.reports = address_of(engine)
        self._rows: Rows | None = None
        self.labelled_audits = LabelledAudits(self.labels, self.rows)

    @property
    def is_shared(self) -> bool:
        """Whether servers can share it: reports and replies are in it too."""
        return is_postgresql(self.engine)

    def rows(self) -> Rows | None:
        """What reads the reports, the same each time, so that readings share one connection; None: there are none.

        Raises:
            StorageError: the folder has no file of reports yet.
        """
        if self._rows is None and self.reports is not None:
            self._rows = rows_of(self.reports, report_file.FILE)
        return self._rows

    def close(self) -> None:
        """Close the database's connections."""
        self._rows = None
        self.engine.dispose()


def fleet_place(database: str, state: Path | None) -> str | Path | None:
    """Where the database is: as named, else a file in the state folder; None: nowhere."""
    if database:
        return database
    return None if state is None else state / FILE


def open_fleet(config: ServerConfig) -> Fleet | None:
    """The fleet of a server's settings, or None where no place for its database is named.

    Raises:
        ConfigError: the database cannot be opened, or none is named and one is needed.
    """
    place = fleet_place(config.database, config.state)
    if place is None:
        if config.require_tokens or config.settings_key or config.page:
            raise ConfigError("expected --database, or --state FOLDER, with --require-tokens, --settings-key, --page")
        return None
    engine = open_database(place)
    try:
        return Fleet(engine, reports=config.reports, settings_key=config.settings_key)
    except BaseException:
        engine.dispose()
        raise
