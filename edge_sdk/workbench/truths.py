"""The labelled pictures of a source without their pixels: what records of somebody else's model are held against."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_sdk.errors import WorkbenchError
from edge_sdk.workbench.folder_source import FolderSource
from edge_sdk.workbench.labelled import Source, read_all
from edge_sdk.workbench.records import Records

NO_LABELS = "expected labelled pictures, in a folder for each class; got none that lies in such a folder"


@dataclass(frozen=True, slots=True, eq=False)
class Truths:
    """Which picture is of which class.

    Attributes:
        name: where this is known from, for messages.
        labels: class names.
        ids: `str (N,)`.
        truths: `int64 (N,)`, index of the true class.
        upload_bytes: `int64 (N,)`, size of the encoded picture, or None.
        groups: `str (N,)`, name under which results are reported, or None.
        sources: `str (N,)`, the origin of each picture, or None.
        data: address and split of the pictures.
    """

    name: str
    labels: tuple[str, ...]
    ids: NDArray[np.str_]
    truths: NDArray[np.int64]
    upload_bytes: NDArray[np.int64] | None = None
    groups: NDArray[np.str_] | None = None
    sources: NDArray[np.str_] | None = None
    data: str = ""

    def __len__(self) -> int:
        return len(self.ids)


def truths_of(records: Records) -> Truths:
    """The pictures of a model's records."""
    return Truths(
        records.info.model,
        records.info.labels,
        records.ids,
        records.truths,
        records.upload_bytes,
        records.groups,
        records.sources,
        records.info.data,
    )


def truths_in(source: Source, name: str) -> Truths:
    """The labelled pictures of a source; of a folder only the names are read.

    Args:
        source: labelled pictures; those without a label are left out.
        name: its address, for messages.

    Raises:
        WorkbenchError: no picture is labelled.
    """
    if isinstance(source, FolderSource):
        found = [(one, label, str(path), "") for one, label, path in source.listed()]
    else:
        pictures = enumerate(read_all(source))
        found = [(one.name or f"{count:06d}", one.label, one.source, one.group) for count, one in pictures]
    rows = [(one, label, origin, group) for one, label, origin, group in found if label is not None]
    if not rows:
        raise WorkbenchError(NO_LABELS)
    labels = tuple(sorted({*source.labels, *(row[1] for row in rows)}))
    number = {label: index for index, label in enumerate(labels)}
    return Truths(
        name,
        labels,
        np.array([row[0] for row in rows], np.str_),
        np.array([number[row[1]] for row in rows], np.int64),
        groups=np.array([row[3] for row in rows], np.str_) if any(row[3] for row in rows) else None,
        sources=np.array([row[2] for row in rows], np.str_),
        data=source.key,
    )
