"""What people say that frames show, written into a device's table, beside a device that may run."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from edge_sdk.durable.database import storable, transaction
from edge_sdk.errors import StorageError
from edge_sdk.store.schema import LABEL
from edge_sdk.store.table import FILE

_PATIENCE_S = 10.0


def write_truths(folder: Path, truths: Mapping[str, str]) -> list[str]:
    """Write down the true labels of frames, all or none.

    Args:
        folder: the state folder.
        truths: label by frame id.

    Returns:
        The ids of frames that the table does not have.

    Raises:
        StorageError: the table is not there or cannot be written.
    """
    path = folder / FILE
    try:
        uri = f"{path.absolute().as_uri()}?mode=rw"
        with closing(sqlite3.connect(uri, uri=True, timeout=_PATIENCE_S, isolation_level=None)) as connection:
            connection.execute("PRAGMA synchronous=FULL")
            with transaction(connection):
                return [
                    frame_id
                    for frame_id, label in truths.items()
                    if not connection.execute(LABEL, (storable(label), frame_id)).rowcount
                ]
    except sqlite3.Error as error:
        raise StorageError(f"cannot write {path}: {error}") from error
