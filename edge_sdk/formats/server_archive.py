"""The frames that a server archived (`cloud-server --archive`), as entries of a journal."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path, PurePosixPath

import msgspec

from edge_sdk.errors import ConfigError, StorageError
from edge_sdk.store.schema import JournalEntry, State
from edge_sdk.types import Answer, Origin, Reason, Region, is_frame_id

_log = logging.getLogger(__name__)

LINES = "answers.jsonl"
"""The file of the archive that has a line for each picture."""


class _Line(msgspec.Struct, frozen=True):
    file: str
    label: str
    confidence: float
    model: str
    device: str
    received_at: datetime
    top: dict[str, float] = {}
    event: str = ""
    region: tuple[int, int, int, int] | None = None
    size: tuple[int, int] | None = None


def archived_entries(
    folder: Path, device: str = "", *, since: datetime | None = None, until: datetime | None = None
) -> Iterator[JournalEntry]:
    """The frames of one device, in the order in which they were archived. Lines that cannot be read are left out.

    The archive does not know when a frame was captured: the time is that at which it came.

    Args:
        folder: the server's archive.
        device: the device's name; "": the only one whose frames are there.
        since: came at this time or later, with a time zone.
        until: came before this time, with a time zone.

    Raises:
        StorageError: there is no archive, or it cannot be read.
        ConfigError: the archive has frames of several devices, and none was named.
    """
    unreadable, only = 0, device
    try:
        with (folder / LINES).open("rb") as file:
            for text in file:
                line = _parsed(text)
                if line is None:
                    unreadable += 1
                    continue
                if not device and only and line.device != only:
                    raise ConfigError(f"expected the name of one device; {folder} has {only}, {line.device} and others")
                only = only or line.device
                after = since is None or line.received_at >= since
                if line.device == only and after and (until is None or line.received_at < until):
                    yield _entry(line, folder)
    except OSError as error:
        raise StorageError(
            f"expected a server's archive with {LINES} at {folder}; {error.strerror or error}"
        ) from error
    if unreadable:
        _log.warning("%s: %d lines cannot be read and are left out", folder / LINES, unreadable)


def _parsed(text: bytes) -> _Line | None:
    try:
        line = msgspec.json.decode(text, type=_Line)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    path = PurePosixPath(line.file)
    inside = not path.is_absolute() and ".." not in path.parts and path.name
    return line if inside and line.received_at.tzinfo is not None else None


def _entry(line: _Line, folder: Path) -> JournalEntry:
    path = folder / line.file
    known = path.stem, line.received_at, str(path)
    answer = Answer(*known, line.label, line.confidence, Origin.CLOUD, True, Reason.CLOUD)
    device = Answer(*known, None, 0.0, Origin.DEVICE, False, Reason.UNSURE)
    return JournalEntry(
        answer,
        device,
        answer,
        None,
        "",
        State.ANSWERED,
        cloud_model=line.model,
        cloud_top_k=tuple(line.top.items()),
        event=line.event if is_frame_id(line.event) else "",
        region=None if line.region is None else Region(*line.region, 1.0),
        frame_size=line.size,
    )
