"""`cloud-server admin`: users, keys, tokens, labels and settings of the fleet, from the server's machine.

It opens the database itself, so that it works before the first user is there and while no server runs. Programs
elsewhere use the admin API with a user's key.
"""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import click
from platformdirs import user_state_path

from edge_sdk.errors import ConfigError

if TYPE_CHECKING:
    from cloud_server.fleet.fleet import Fleet

P = ParamSpec("P")
R = TypeVar("R")
ROLES = ("look", "label", "operate")
_PATH = click.Path(path_type=Path)
_DATABASE = (
    "The fleet's database, as of the server: postgresql://..., or a SQLite file.  [default: fleet.db in --state]"
)
_STATE = "The server's state folder.  [default: that of a server on --port]"
_PASSWORD = "Read the password from the first line of standard input; otherwise it is asked for twice."
_NAME_IT = "name it as for the server (--database, --state or --port of `cloud-server admin`, or EDGE_SDK_DATABASE)"
_MOST_CHANGES = 50


@click.group()
@click.option("--database", default="", envvar="EDGE_SDK_DATABASE", show_default=False, metavar="URL", help=_DATABASE)
@click.option("--state", type=_PATH, help=_STATE)
@click.option("--port", type=click.IntRange(0, 65535), default=50051, show_default=True, help="The server's port.")
@click.option("--settings-key", type=_PATH, help="The operator's settings key; for settings set.")
@click.pass_context
def admin(ctx: click.Context, database: str, state: Path | None, port: int, settings_key: Path | None) -> None:
    """Manage users, keys, tokens of devices, labels and settings, also while the server runs."""
    folder = state or user_state_path("cloud-server", appauthor=False) / str(port)
    ctx.obj = database or folder / "fleet.db", settings_key


@contextmanager
def _opened(place: str | Path, key: Path | None, *, makes: bool) -> Iterator[Fleet]:
    from cloud_server.fleet.database.opening import open_database
    from cloud_server.fleet.fleet import Fleet

    is_missing = "://" not in str(place) and not Path(place).exists()
    if is_missing and not makes:
        raise ConfigError(f"expected the server's database as {place}; there is none: {_NAME_IT}")
    fleet = Fleet(open_database(place), settings_key=key)
    if is_missing:
        click.echo(f"made the database {place}; if your server has another: {_NAME_IT}", err=True)
    try:
        yield fleet
    finally:
        fleet.close()


def with_fleet(work: Callable[P, R], *, makes: bool = False) -> Callable[..., R]:
    """Give a command the fleet as its first argument; with `makes` also where its database is yet to be made."""

    @click.pass_obj
    @wraps(work)
    def command(given: tuple[str | Path, Path | None], *args: Any, **options: Any) -> R:
        with _opened(*given, makes=makes) as fleet:
            return work(fleet, *args, **options)  # type: ignore[arg-type]

    return command


with_new_fleet = partial(with_fleet, makes=True)


def _who() -> str:
    """Whoever runs the command, as the history names them."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a user of a container that has no name; OSError from Python 3.13 on
        name = f"uid {os.getuid()}"
    return f"{name} (command)"


def _password(from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\n")
    return str(click.prompt("password", hide_input=True, confirmation_prompt=True, err=True))


def _table(names: tuple[str, ...], rows: list[tuple[object, ...]], nothing: str) -> None:
    from edge_sdk.terminal.tables import Rows
    from edge_sdk.terminal.text import open_console

    table = Rows("", names, left=names)
    for row in rows:
        table.add(*row)
    open_console().print(table if rows else nothing)


def _day(ms: int | None) -> str:
    return "" if ms is None else f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d %H:%M}"


@admin.group()
def user() -> None:
    """Who may look, label and operate."""


@user.command("add")
@click.argument("name")
@click.option("--role", type=click.Choice(ROLES), default="look", show_default=True, help="What the user may do.")
@click.option("--password-stdin", is_flag=True, help=_PASSWORD)
@click.option("--no-password", is_flag=True, help="Only a key, or a proxy that signs people in, lets this user in.")
@with_new_fleet
def add_user(fleet: Fleet, name: str, role: str, password_stdin: bool, no_password: bool) -> None:
    """Make a user."""
    from cloud_server.fleet.database.users import Role

    if no_password and password_stdin:
        raise click.UsageError("expected --no-password or --password-stdin, not both")
    password = None if no_password else _password(password_stdin)
    fleet.users.add(name, Role(role), password, _who())
    click.echo(f"{name} may {role}")


@user.command("list")
@with_fleet
def list_users(fleet: Fleet) -> None:
    """List users."""
    rows: list[tuple[object, ...]] = [
        (one.name, one.role.value, "yes" if one.has_password else "no", one.made_by, _day(one.made_ms))
        for one in fleet.users.all()
    ]
    _table(("name", "role", "password", "made by", "on (UTC)"), rows, "no users yet: cloud-server admin user add NAME")


@user.command("role")
@click.argument("name")
@click.argument("role", type=click.Choice(ROLES))
@with_fleet
def change_role(fleet: Fleet, name: str, role: str) -> None:
    """Give a user another role; its browsers must log in again."""
    from cloud_server.fleet.database.users import Role

    fleet.users.change(name, role=Role(role))
    click.echo(f"{name} may {role}")


@user.command("password")
@click.argument("name")
@click.option("--password-stdin", is_flag=True, help=_PASSWORD)
@with_fleet
def change_password(fleet: Fleet, name: str, password_stdin: bool) -> None:
    """Give a user another password; its browsers must log in again."""
    fleet.users.change(name, password=_password(password_stdin))
    click.echo(f"{name} has another password")


@user.command("remove")
@click.argument("name")
@with_fleet
def remove_user(fleet: Fleet, name: str) -> None:
    """Remove a user, its sessions and keys; what it said and decided stays."""
    fleet.users.remove(name)
    click.echo(f"{name} is removed")


@admin.group()
def key() -> None:
    """Keys by which programs use the admin API as a user."""


@key.command("add")
@click.argument("name", metavar="USER")
@click.option("--note", default="", help="What it is for.")
@with_fleet
def add_key(fleet: Fleet, name: str, note: str) -> None:
    """Make a key, and print it this once."""
    click.echo(fleet.users.new_key(name, note))


@key.command("list")
@with_fleet
def list_keys(fleet: Fleet) -> None:
    """List keys by their ids."""
    rows: list[tuple[object, ...]] = [
        (one.key_id, one.user, one.note, _day(one.made_ms)) for one in fleet.users.all_keys()
    ]
    _table(("id", "user", "note", "made on (UTC)"), rows, "no keys yet: cloud-server admin key add USER")


@key.command("remove")
@click.argument("key_id", metavar="ID")
@with_fleet
def remove_key(fleet: Fleet, key_id: str) -> None:
    """End a key."""
    fleet.users.remove_key(key_id)
    click.echo(f"key {key_id} has ended")


@admin.group()
def token() -> None:
    """Tokens of devices, for servers with --require-tokens."""


@token.command("issue")
@click.argument("device")
@click.option("--replace", is_flag=True, help="End the token that the device has.")
@with_new_fleet
def issue_token(fleet: Fleet, device: str, replace: bool) -> None:
    """Make a device's token, and print it this once."""
    click.echo(fleet.tokens.issue(device, _who(), replace=replace))


@token.command("revoke")
@click.argument("device")
@with_fleet
def revoke_token(fleet: Fleet, device: str) -> None:
    """End a device's token, within a second at every server."""
    fleet.tokens.revoke(device, _who())
    click.echo(f"the token of {device} has ended")


@token.command("list")
@with_fleet
def list_tokens(fleet: Fleet) -> None:
    """List tokens by device, those that have ended too."""
    rows: list[tuple[object, ...]] = [
        (one.device, one.issued_by, _day(one.issued_ms), one.revoked_by or "", _day(one.revoked_ms))
        for one in fleet.tokens.all()
    ]
    names = ("device", "issued by", "on (UTC)", "ended by", "at (UTC)")
    _table(names, rows, "no tokens yet: cloud-server admin token issue DEVICE")


@admin.group()
def settings() -> None:
    """Settings that are wanted of a device, of a group (group:NAME), or of all devices (*)."""


@settings.command("set")
@click.argument("target")
@click.argument("wanted", metavar="JSON")
@with_new_fleet
def set_settings(fleet: Fleet, target: str, wanted: str) -> None:
    """Want these settings, in place of all that the target had, such as '{"threshold": 0.8}'; {}: none of its own."""
    import msgspec

    try:
        given = msgspec.json.decode(wanted, type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise ConfigError(f'expected settings as JSON, such as {{"threshold": 0.8}}; {error}') from None
    fleet.settings.put(target, given, _who())
    click.echo(f"{target}: {wanted}")


@settings.command("show")
@click.argument("target", default="")
@with_fleet
def show_settings(fleet: Fleet, target: str) -> None:
    """Show who changed what and when, of one target or of all, the latest first."""
    import msgspec

    rows: list[tuple[object, ...]] = [
        (one.target, msgspec.json.encode(one.settings).decode(), one.changed_by, _day(one.changed_ms))
        for one in fleet.settings.history(target, _MOST_CHANGES)
    ]
    _table(("target", "settings", "changed by", "at (UTC)"), rows, "no settings were wanted yet")


@admin.group()
def labels() -> None:
    """What people say of frames."""


@labels.command("export")
@click.argument("out", type=_PATH)
@click.option("--device", default="", help="Of this device alone.")
@click.option("--archive", type=_PATH, help="The server's frame archive: names the picture of each frame.")
@click.option("--asked", type=_PATH, help="A CSV of edge-sdk calibrate --ask: its rows, with the answers filled in.")
@with_fleet
def export_labels(fleet: Fleet, out: Path, device: str, archive: Path | None, asked: Path | None) -> None:
    """Write a CSV for edge-sdk train and records (with --archive), calibrate (with --asked), and audit import."""
    from cloud_server.fleet.label_files import answer_questions, write_labels

    if asked is not None:
        answered, all_rows = answer_questions(out, asked, fleet.labels.all(device))
        click.echo(f"{out}: {answered} of {all_rows} questions are answered")
        return
    written, without = write_labels(out, fleet.labels.all(device), archive)
    missing = f"; {without} of them without a picture in {archive}" if archive is not None and without else ""
    click.echo(f"{out}: {written} labels{missing}")
