"""The archives of the optional data folder (EDGE_SDK_DATA), unpacked once."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path


def unpacked(name: str, out: Path, holds: str = "") -> Path:
    """Unpack `name`.tar of the data folder below `out`, unless that was done, and say where it lies.

    Args:
        name: of the archive.
        out: folder to unpack into.
        holds: the folder that the archive holds; default: one of its own name.
    """
    folder = out / (holds or name)
    if not folder.is_dir():
        archive = Path(os.environ.get("EDGE_SDK_DATA", "../shared/data")) / f"{name}.tar"
        with tarfile.open(archive) as tar:
            tar.extraction_filter = getattr(tarfile, "data_filter", None)  # Python 3.11.4
            tar.extractall(out)
    return folder
