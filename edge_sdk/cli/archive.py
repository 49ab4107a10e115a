"""`edge-sdk archive`: the pictures that a device keeps after their last word."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_sdk.cli.contact_sheet import write_sheet
from edge_sdk.cli.device import device_options, open_journal
from edge_sdk.cli.journal import entry_text
from edge_sdk.cli.options import FILE, FOLDER, Command, option, out_option, parse_bytes, writable
from edge_sdk.terminal.command import NO
from edge_sdk.terminal.text import literal

if TYPE_CHECKING:
    from edge_sdk.formats.picture_files import Exported
    from edge_sdk.store.journal import Journal, JournalEntry
    from edge_sdk.types import Image

_ON_A_SHEET, _TILE = 42, (320, 240)
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
            device_options(),
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
@device_options()
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
@click.option("--crop", is_flag=True, help="Write the close-ups too, where the archive's rule keeps them.")
def export(folder: Path, by_class: bool, crop: bool, state: Path | None, **chosen: Any) -> None:
    """Write the pictures into FOLDER as plain files, named by time, camera and class.

    Each file says in EXIF and XMP when it was taken, by which camera, and what was seen. A file that is there already
    stays, so an export that was stopped goes on where it was.
    """
    from edge_sdk.formats.picture_files import PictureFiles
    from edge_sdk.terminal.command import when_stopped
    from edge_sdk.terminal.progress import progress_bars, shown_by
    from edge_sdk.terminal.text import open_console

    journal = open_journal(state)
    files = PictureFiles(journal.folder, folder, by_class=by_class, crop=crop)
    chosen_ones = list(_pictures(journal, **chosen))
    stopped = when_stopped(lambda: f"{_done(folder, files.done)}; the same command goes on")
    with stopped, progress_bars(open_console(stderr=True)) as bars:
        show = shown_by(bars)
        for entry in chosen_ones:
            files.write(entry)
            show("pictures", files.done.seen, len(chosen_ones))
    click.echo(literal(_done(folder, files.done)))


@archive.command()
@click.argument("frame_id", metavar="ID")
@device_options()
@click.option("--out", type=FILE, callback=writable, help="Write the picture here, as export does.")
def show(frame_id: str, state: Path | None, out: Path | None) -> None:
    """Tell what is known of one picture.

    ID is the frame's id, or the end of it, as it stands in the names of exported files.
    """
    from edge_sdk.durable.files import write_whole
    from edge_sdk.errors import ConfigError
    from edge_sdk.formats.picture_files import metadata_of
    from edge_sdk.images.metadata import with_metadata
    from edge_sdk.store.picture import read_picture
    from edge_sdk.terminal.tables import Facts
    from edge_sdk.terminal.text import open_console

    journal = open_journal(state)
    found = [one for one in journal.query(archived=True) if one.answer.frame_id.endswith(frame_id)]
    if len(found) != 1:
        raise ConfigError(f"expected the id of one picture, or the end of it; {len(found)} end with {frame_id!r}")
    (entry,) = found
    item = read_picture(journal.folder, entry)
    answer, said = entry.answer, metadata_of(entry)
    facts = Facts(answer.frame_id)
    facts.add("taken", answer.captured_at.isoformat(" ", "milliseconds"))
    facts.add("camera", said.camera)
    facts.add("source", answer.source)
    facts.add("last word", f"{said.description} ({answer.reason})")
    for who, top_k in (("device", entry.top_k), ("cloud", entry.cloud_top_k)):
        if top_k:
            facts.add(f"the {who} said", ", ".join(f"{label} {chance:.1%}" for label, chance in top_k))
    facts.add("models", ", ".join(filter(None, (entry.model, entry.cloud_model))))
    facts.add("event", entry.event or "none")
    facts.add("note", entry.note or "none")
    facts.add("file", journal.folder / (entry.picture or ""))
    facts.add("size", f"{entry.picture_bytes / 1e3:.1f} kB{', with a close-up' if item and item.crop else ''}")
    open_console().print(facts)
    if out is not None:
        if item is None:
            raise ConfigError(f"expected a picture that can be read; that of {answer.frame_id} has gone or is damaged")
        write_whole(out, with_metadata(item.image, said))


@archive.command()
@out_option("Picture to write.", default="archive.jpg", show_default=True)
@filters
@click.option("--columns", type=click.IntRange(1, 20), default=6, show_default=True, help="Pictures in a row.")
@click.option("--crop", is_flag=True, help="Show the close-ups, where the archive's rule keeps them.")
def sheet(out: Path, columns: int, crop: bool, state: Path | None, **chosen: Any) -> None:
    """Draw pictures on one sheet, each with its class: the newest 42, or as many as --limit says."""
    write_sheet(out, lambda: _drawn(open_journal(state), columns, crop, chosen))


@archive.command()
@device_options()
@option("--older-than", type=click.FloatRange(min=0), metavar="DAYS", help="Only pictures taken before that.")
@option("--until", type=TIME, metavar="TIME", help="Only pictures taken before this time (UTC).")
@option("--label", help="Only pictures of this class, by the last word on them.")
@option(
    "--keep",
    callback=parse_bytes,
    metavar="SIZE",
    help="Leave this much, such as 500MB: the least interesting and oldest go.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_context
def prune(
    context: click.Context,
    state: Path | None,
    older_than: float | None,
    until: datetime | None,
    label: str | None,
    keep: float | None,
    yes: bool,
) -> None:
    """Delete pictures of a device that does not run; the answers stay in the journal.

    A picture goes where all that is given holds of it. A device that runs holds its state folder: stop it first, or
    give it a smaller rule.
    """
    from edge_sdk.durable.lock import FolderLock
    from edge_sdk.store.prune import beyond
    from edge_sdk.store.prune import prune as let_go

    if older_than is None and until is None and label is None and keep is None:
        raise click.UsageError("expected --older-than, --until, --label or --keep: which pictures are to go")
    journal = open_journal(state)
    with closing(FolderLock(journal.folder, "a state folder")):
        ends = [_utc(until), None if older_than is None else datetime.now(UTC) - timedelta(days=older_than)]
        found = list(
            journal.query(archived=True, label=label, until=min((end for end in ends if end is not None), default=None))
        )
        if keep is not None:
            going = set(beyond(journal.folder, int(keep)))
            found = [entry for entry in found if entry.answer.frame_id in going]
        what = f"{len(found)} pictures, {sum(entry.picture_bytes for entry in found) / 1e6:.1f} MB"
        if found and not yes and not _confirmed(f"Delete {what}?"):
            context.exit(NO)
        let_go(journal.folder, [entry.answer.frame_id for entry in found])
    click.echo(literal(f"{journal.folder}: {what} deleted"))


def _confirmed(question: str) -> bool:
    try:
        return click.confirm(literal(question))
    except click.Abort:  # nobody is there to be asked
        raise click.UsageError("expected --yes, or an answer on standard input") from None


def _drawn(journal: Journal, columns: int, crop: bool, chosen: dict[str, Any]) -> Image:
    """The sheet of pictures.

    Raises:
        ConfigError: there are none.
    """
    from edge_sdk.errors import ConfigError
    from edge_sdk.images.read import decode_image
    from edge_sdk.images.tiles import sheet_of, tile_of
    from edge_sdk.store.picture import read_picture

    chosen["limit"] = chosen["limit"] or _ON_A_SHEET
    tiles = []
    for entry in _pictures(journal, **chosen):
        item = read_picture(journal.folder, entry)
        if item is not None:
            image = decode_image(item.crop if crop and item.crop else item.image).image
            tiles.append(tile_of(image, f"{entry.answer.label or 'unknown'} {entry.answer.confidence:.0%}", _TILE))
    if not tiles:
        raise ConfigError("expected pictures for a sheet; the archive has none of these")
    return sheet_of(tiles, columns)


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
