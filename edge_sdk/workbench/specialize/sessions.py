"""The sessions of one specialisation: what they cost together, and whether the settings have changed since the last."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import msgspec

from edge_sdk.durable.files import write_whole
from edge_sdk.workbench.changed_settings import changes

_SETTINGS = "settings.json"
_log = logging.getLogger(__name__)


def note_settings(folder: Path, settings: Mapping[str, str]) -> None:
    """Write the settings into the state's folder; if it is new, say how they differ from those of the last state.

    A state belongs to its settings: with others, the work begins anew in a folder of its own, beside the old one.

    Args:
        folder: of the state.
        settings: as text by name.
    """
    file = folder / _SETTINGS
    if file.exists():
        return
    others = sorted(folder.parent.glob(f"*/{_SETTINGS}"), key=lambda path: path.stat().st_mtime_ns)
    if others:
        before = msgspec.json.decode(others[-1].read_bytes(), type=dict[str, str])
        _log.warning(
            "begins anew, since settings have changed: %s. With the former ones the work in %s continues",
            "; ".join(changes(before, settings)),
            others[-1].parent,
        )
    write_whole(file, msgspec.json.format(msgspec.json.encode(dict(settings))) + b"\n")
