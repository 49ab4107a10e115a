"""The picture of a frame, read beside a device that may run meanwhile."""

from __future__ import annotations

import logging
import re
from pathlib import Path

from edge_sdk.store.frames import SUFFIX, SpoolItem, decode_frame
from edge_sdk.store.schema import JournalEntry

_log = logging.getLogger(__name__)

_SAFE_ID = re.compile(r"[0-9A-Za-z_-]{1,64}", re.ASCII)


def read_picture(folder: Path, entry: JournalEntry) -> SpoolItem | None:
    """The frame as it was stored.

    Args:
        folder: the state folder.
        entry: what the journal knows of the frame.

    Returns:
        None where the picture is not kept, has gone since the journal was read, or is damaged; the last two are logged.
    """
    frame_id = entry.answer.frame_id
    if entry.picture is None or not _SAFE_ID.fullmatch(frame_id):
        return None
    try:
        item = decode_frame(
            (folder / Path(entry.picture).parent.name / f"{frame_id}{SUFFIX}").read_bytes(), frame_id
        ).item
    except (OSError, ValueError) as error:
        _log.warning("the picture of %s cannot be read: %s", frame_id, error)
        return None
    if item is None:
        _log.warning("the picture of %s is damaged", frame_id)
    return item
