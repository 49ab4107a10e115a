"""Records of somebody else's model, from a CSV."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np

from edge_sdk.errors import WorkbenchError
from edge_sdk.workbench.records import Records, RecordsInfo
from edge_sdk.workbench.records_file import load_records


def read_csv(path: str | Path, truth: Records | Path | str, *, model: str = "", macs: int = 0) -> Records:
    """Read another program's records: a CSV with the columns `id`, `predicted` (class name or index), `probability`.

    Args:
        path: the CSV, with a header line.
        truth: records (or their file) of any model on the same pictures: ids, labels and truths are taken from them.
        model: its name; default: the file's.
        macs: multiply-accumulates per picture; 0: unknown.

    Returns:
        records in the order of `truth`.

    Raises:
        WorkbenchError: a column, a picture or a class is missing or unknown, or a value is not a probability.
    """
    path = Path(path)
    known = truth if isinstance(truth, Records) else load_records(truth)
    labels = known.info.labels
    rows: dict[str, tuple[int, float]] = {}
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            missing = {"id", "predicted", "probability"} - set(reader.fieldnames or ())
            if missing:
                raise WorkbenchError(
                    f"{path}: expected the columns id, predicted, probability; got {', '.join(reader.fieldnames or ())}"
                )
            for line, row in enumerate(reader, 2):
                rows[row["id"]] = _class_of(row["predicted"], labels, path, line), _chance(row, path, line)
    except (OSError, UnicodeDecodeError) as error:
        raise WorkbenchError(f"cannot read {path}: {error}") from error
    absent = [name for name in known.ids.tolist() if name not in rows]
    if absent or len(rows) != len(known):
        raise WorkbenchError(
            f"{path}: expected the {len(known)} sample ids of {known.info.model}; got {len(rows)}"
            + (f", without {absent[0]!r}" if absent else "")
        )
    found = [rows[name] for name in known.ids.tolist()]
    info = RecordsInfo(model=model or path.stem, labels=labels, macs=macs, data=known.info.data, runtime="imported")
    return replace(
        known,
        info=info,
        predicted=np.array([one[0] for one in found], np.int64),
        confidence=np.array([one[1] for one in found], np.float32),
        probabilities=None,
        energy=None,
    )


def _class_of(text: str | None, labels: tuple[str, ...], path: Path, line: int) -> int:
    if text in labels:
        return labels.index(str(text))
    if text is not None and text.isascii() and text.isdigit() and int(text) < len(labels):
        return int(text)
    raise WorkbenchError(f"{path}, line {line}: expected a class among {', '.join(labels[:10])} ...; got {text!r}")


def _chance(row: dict[str, str], path: Path, line: int) -> float:
    try:
        value = float(row["probability"])
    except (TypeError, ValueError):
        value = float("nan")
    if not 0 <= value <= 1:
        raise WorkbenchError(f"{path}, line {line}: expected a probability from 0 to 1; got {row['probability']!r}")
    return value
