"""`edge-sdk archive`: the pictures that a device keeps after their last word."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_sdk.cli.journal import entry_text, open_journal
from edge_sdk.cli.options import FOLDER, Command, option, state_option, writable
from edge_sdk.terminal.text import literal

if TYPE_CHECKING:
    from edge_sdk.formats.picture_files import Exported
    from edge_sdk.store.journal import Journal, JournalEntry

TIME = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"])


@click.group()
def archive() -> None:
    """The pictures that a device keeps after their last word.

    All but prune read a state folder beside a device that runs.
    """


def filters(command: Command) -> Command:
    """The options that choose pictures."""
    for one in reversed(
        (
            state_option(),
            option("--since", type=TIME, metavar="TIME", help="Only pictures taken at or after this time (UTC)."),
            option("--until", type=TIME, metavar="TIME", help="Only pictures taken before this time (UTC)."),
            option("--label", help="Only pictures of this class, by the last word on them."),
            option("--event", metavar="ID", help="Only pictures of this event."),
            option("--limit", type=click.IntRange(min=1), metavar="N", help="Only the newest N of them."),
        )
    ):
        command = one(command)
    return command


@archive.command("list")
@filters
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")
def list_(as_json: bool, state: Path | None, **chosen: Any) -> None:
    """List the pictures, oldest first."""
    import msgspec

    for entry in _pictures(open_journal(state), **chosen):
        click.echo(msgspec.json.encode(entry).decode() if as_json else _line(entry))


@archive.command()
@state_option()
def sizes(state: Path | None) -> None:
    """Say how many pictures of which class are kept, and their bytes."""
    from edge_sdk.terminal.tables import Rows
    from edge_sdk.terminal.text import open_console

    found = open_journal(state).archived_sizes()
    table = Rows("", ("class", "pictures", "MB"))
    for label, (count, size) in found.items():
        table.add(label or "unknown", f"{count:,}", f"{size / 1e6:.1f}")
    table.add("all", f"{sum(count for count, _ in found.values()):,}", f"{sum(s for _, s in found.values()) / 1e6:.1f}")
    open_console().print(table)


@archive.command()
@click.argument("folder", type=FOLDER, callback=writable)
@filters
@click.option("--by-class", is_flag=True, help="Write into a folder for each class.")
def export(folder: Path, by_class: bool, state: Path | None, **chosen: Any) -> None:
    """Write the pictures into FOLDER as plain files, named by time, camera and class.

    Each file says in EXIF and XMP when it was taken, by which camera, and what was seen. A file that is there already
    stays, so an export that was stopped goes on where it was.
    """
    from edge_sdk.formats.picture_files import PictureFiles
    from edge_sdk.terminal.command import when_stopped
    from edge_sdk.terminal.progress import progress_bars, shown_by
    from edge_sdk.terminal.text import open_console

    journal = open_journal(state)
    files = PictureFiles(journal.folder, folder, by_class=by_class)
    chosen_ones = list(_pictures(journal, **chosen))
    stopped = when_stopped(lambda: f"{_done(folder, files.done)}; the same command goes on")
    with stopped, progress_bars(open_console(stderr=True)) as bars:
        show = shown_by(bars)
        for entry in chosen_ones:
            files.write(entry)
            show("pictures", files.done.seen, len(chosen_ones))
    click.echo(literal(_done(folder, files.done)))


def _pictures(
    journal: Journal,
    since: datetime | None,
    until: datetime | None,
    label: str | None,
    event: str | None,
    limit: int | None,
) -> Iterable[JournalEntry]:
    found = journal.query(
        since=_utc(since),
        until=_utc(until),
        label=label,
        event=event,
        archived=True,
        limit=limit,
        newest_first=limit is not None,
    )
    return found if limit is None else reversed(list(found))


def _line(entry: JournalEntry) -> str:
    event = f"  event {entry.event}" if entry.event else ""
    return f"{entry.answer.frame_id}  {entry_text(entry)}  {entry.picture_bytes / 1e3:.1f} kB{literal(event)}"


def _done(folder: Path, done: Exported) -> str:
    there = f", {done.there} were there" if done.there else ""
    gone = f", {done.gone} could not be read" if done.gone else ""
    return f"{folder}: {done.written} pictures written{there}{gone}"


def _utc(moment: datetime | None) -> datetime | None:
    return moment if moment is None or moment.tzinfo is not None else moment.replace(tzinfo=UTC)
