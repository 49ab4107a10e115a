"""Records as `.npz` files."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np

from edge_sdk.durable.files import write_whole
from edge_sdk.errors import WorkbenchError
from edge_sdk.workbench.records import ARRAYS, FORMAT, Records, RecordsInfo


def save_records(path: str | Path, records: Records) -> Path:
    """Write records to a `.npz` file, atomically: a reader sees the old file or the new one.

    Raises:
        WorkbenchError: it cannot be written.
    """
    path = Path(path)
    arrays = {name: array for name in ARRAYS if (array := getattr(records, name)) is not None}
    info = np.array(msgspec.json.encode(records.info).decode())
    try:
        write_whole(path, lambda fresh: np.savez_compressed(fresh, info=info, **arrays))
    except OSError as error:
        raise WorkbenchError(f"cannot write {path}: {error}") from error
    return path


def load_records(path: str | Path) -> Records:
    """Read records from a `.npz` file.

    Raises:
        WorkbenchError: it is missing, is no file of records, or holds arrays that do not fit.
    """
    path = Path(path)
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        info = msgspec.json.decode(str(arrays.pop("info")), type=RecordsInfo)
        if info.format != FORMAT:
            raise WorkbenchError(f"{path}: expected {FORMAT}; got {info.format}")
        return Records(info, **arrays)
    except FileNotFoundError:
        raise WorkbenchError(f"expected a file of records; {path} does not exist") from None
    except (OSError, ValueError, KeyError, TypeError, EOFError, msgspec.MsgspecError) as error:
        raise WorkbenchError(f"{path}: expected records that `edge-sdk records` wrote: {error}") from error
