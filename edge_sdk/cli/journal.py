"""`edge-sdk journal`: the answers that a device has given."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_sdk.cli.device import device_options, open_journal
from edge_sdk.cli.given import refuse_together
from edge_sdk.terminal.text import literal

if TYPE_CHECKING:
    from edge_sdk.store.journal import EventEntry, JournalEntry

_CHOOSE = ("--since", "--until", "--label", "--limit", "--events")
_TIME = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"])


@click.command()
@device_options()
@click.option(
    "--since",
    type=_TIME,
    metavar="TIME",
    help="Only frames captured at or after this time, such as 2026-11-26T08:00 (UTC).",
)
@click.option("--until", type=_TIME, metavar="TIME", help="Only frames captured before this time (UTC).")
@click.option("--label", help="Only frames with this label.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Only the newest N of them.")
@click.option("--events", "of_events", is_flag=True, help="Print visits, not frames: one line for each event.")
@click.option(
    "--event", "event_id", metavar="ID", help="Follow one event from the gate to its last word, by its frames."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")
def journal(
    state: Path | None,
    since: datetime | None,
    until: datetime | None,
    label: str | None,
    limit: int | None,
    of_events: bool,
    event_id: str | None,
    as_json: bool,
) -> None:
    """Print the answers that a device has given, oldest first."""
    import msgspec

    refuse_together(*(("--event", one, "an event is told as a whole") for one in _CHOOSE))
    if event_id is not None:
        _follow(state, event_id, as_json)
        return
    newest_first = limit is not None
    with open_journal(state) as answers:
        found: Iterable[JournalEntry | EventEntry]
        query = answers.events if of_events else answers.query
        found = query(since=_utc(since), until=_utc(until), label=label, limit=limit, newest_first=newest_first)
        if newest_first:
            found = reversed(list(found))
        for entry in found:
            click.echo(msgspec.json.encode(entry).decode() if as_json else _text(entry))


def _follow(state: Path | None, event_id: str, as_json: bool) -> None:
    """Print one event, and its frames."""
    import msgspec

    from edge_sdk.cli.event_story import find_event, told
    from edge_sdk.terminal.text import open_console

    with open_journal(state) as answers:
        event, frames = find_event(answers, event_id)
    if as_json:
        for one in (event, *frames):
            click.echo(msgspec.json.encode(one).decode())
        return
    for table in told(event, frames):
        open_console().print(table)


def _text(entry: JournalEntry | EventEntry) -> str:
    from edge_sdk.report.display import event_text
    from edge_sdk.store.journal import JournalEntry

    if isinstance(entry, JournalEntry):
        return entry_text(entry)
    event = entry.event
    waits = "" if event.final else ", waits for the cloud" if event.revision else ", open"
    return literal(
        f"{event.began_at:%Y-%m-%d %H:%M:%S}  {event.source}  {event_text(event)}{waits}  event {event.event_id}"
    )


def entry_text(entry: JournalEntry) -> str:
    """One frame of the journal on one line."""
    from edge_sdk.report.display import answer_text

    answer = entry.answer
    waits = "" if answer.final else ", waits for the cloud"
    note = f"  {entry.note}" if entry.note else ""
    return literal(f"{answer.captured_at:%Y-%m-%d %H:%M:%S}  {answer.source}  {answer_text(answer)}{waits}{note}")


def _utc(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment else None
