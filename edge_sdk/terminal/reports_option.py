"""The value of an option that names a server's reports: a folder, or the address of the database that servers share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

ADDRESSES = ("postgresql", "postgres")
"""Schemes of a database."""


if TYPE_CHECKING:
    _Place = click.ParamType[Path | str]
else:
    _Place = click.ParamType  # click 8.1's is not generic


class ReportsPlace(_Place):
    """A folder that exists, as a path, or a `postgresql://` address, as a text."""

    name = "folder"
    _folder = click.Path(exists=True, file_okay=False, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path | str:
        """The place.

        Raises:
            click.BadParameter: there is no such folder.
        """
        if str(value).partition("://")[0] in ADDRESSES and "://" in str(value):
            return str(value)
        found: Path = self._folder.convert(value, param, ctx)
        return found
