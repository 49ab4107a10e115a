"""Records of somebody else's model, from a CSV with the columns `id`, `predicted` and `probability`.

`predicted` is a class name or index. What the pictures really show is known from labelled pictures, from records of
another model, or from a column `truth` in one of the files.
"""

from __future__ import annotations

import csv
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from edge_sdk.errors import WorkbenchError
from edge_sdk.workbench.records import Records, RecordsInfo
from edge_sdk.workbench.records_file import load_records
from edge_sdk.workbench.truths import Truths, truths_of

_log = logging.getLogger(__name__)
_COLUMNS = ("id", "predicted", "probability")


class _Row(NamedTuple):
    predicted: str
    probability: float
    truth: str


@dataclass(frozen=True, slots=True, eq=False)
class _Table:
    """A CSV as it was read: rows by id, and the line of each."""

    path: Path
    rows: dict[str, _Row]
    lines: dict[str, int]

    @property
    def has_truth(self) -> bool:
        return any(row.truth for row in self.rows.values())


def read_csv(path: str | Path, truth: Truths | Records | Path | str, *, model: str = "", macs: int = 0) -> Records:
    """Read another program's records of pictures whose classes are known.

    Args:
        path: the CSV, with a header line.
        truth: the pictures, or records (or their file) of any model on them: ids, labels and truths come from there.
        model: its name; default: the file's.
        macs: multiply-accumulates per picture; 0: unknown.

    Returns:
        records in the order of `truth`.

    Raises:
        WorkbenchError: a column, a picture or a class is missing or unknown, a value is not a probability, or a picture
            stands there twice with different answers.
    """
    records = truth if isinstance(truth, Records | Truths) else load_records(truth)
    return _fit(_read(Path(path)), records if isinstance(records, Truths) else truths_of(records), model, macs)


def read_csvs(
    paths: Sequence[str | Path], *, truth: Truths | Records | None = None, macs: Mapping[str, int] | None = None
) -> list[Records]:
    """Read records of several models of which nothing but CSVs is at hand.

    Args:
        paths: one CSV for each model, which has the file's name.
        truth: the pictures, or records of a model on them; None: a column `truth` (class name or index) in one of the
            files or in all says what the pictures show, and classes are those that occur.
        macs: multiply-accumulates per picture by model; models that are not named are of unknown cost.

    Raises:
        WorkbenchError: as `read_csv`; files of one name, no file with truths, truths that differ, one class only.
    """
    if not paths:
        return []
    names = [Path(path).stem for path in paths]
    if len(set(names)) != len(names):
        raise WorkbenchError(f"expected a file name for each model; got {', '.join(names)}")
    tables = [_read(Path(path)) for path in paths]
    known = truths_of(truth) if isinstance(truth, Records) else truth or _truths(tables)
    costs = macs or {}
    return [_fit(table, known, name, costs.get(name, 0)) for table, name in zip(tables, names, strict=True)]


def _truths(tables: Sequence[_Table]) -> Truths:
    """What the pictures show, by the columns `truth`."""
    told = [table for table in tables if table.has_truth]
    if not told:
        raise WorkbenchError(
            f"expected a column `truth` (the class that each picture shows) in one of "
            f"{', '.join(str(table.path) for table in tables)}; none has one. Add it, or name labelled pictures"
        )
    first = told[0]
    texts = {text for table in tables for row in table.rows.values() for text in (row.predicted, row.truth) if text}
    if all(text.isascii() and text.isdigit() for text in texts):
        labels = tuple(str(number) for number in range(max(map(int, texts)) + 1))
    else:
        labels = tuple(sorted(texts))
    if len(labels) < 2:
        raise WorkbenchError(f"{first.path}: expected two or more classes; got {', '.join(labels)}")
    index = _index(labels)
    truths = []
    for name, row in first.rows.items():
        if row.truth not in index:
            raise WorkbenchError(
                f"{first.path}, line {first.lines[name]}: expected a class as truth; got {row.truth!r}"
            )
        truths.append(index[row.truth])
        for other in told[1:]:
            said = other.rows[name].truth if name in other.rows else row.truth
            if said and said != row.truth:
                raise WorkbenchError(
                    f"expected one truth of {name!r}; got {row.truth!r} in {first.path} and {said!r} in {other.path}"
                )
    return Truths(str(first.path), labels, np.array(list(first.rows), np.str_), np.array(truths, np.int64))


def _fit(table: _Table, known: Truths, model: str, macs: int) -> Records:
    """The rows of a table in the order of the pictures."""
    index, rows = _index(known.labels), table.rows
    ids = known.ids.tolist()
    absent = [name for name in ids if name not in rows]
    if absent or len(rows) != len(known):
        unknown = next(iter(rows.keys() - set(ids)), None)
        raise WorkbenchError(
            f"{table.path}: expected the {len(known)} sample ids of {known.name}; got {len(rows)}"
            + (f", without {absent[0]!r}" if absent else "")
            + (f", with {unknown!r}" if unknown is not None else "")
        )
    for name, row in rows.items():
        if row.predicted not in index:
            raise WorkbenchError(
                f"{table.path}, line {table.lines[name]}: expected a class among {', '.join(known.labels[:10])} ...; "
                f"got {row.predicted!r}"
            )
    info = RecordsInfo(
        model=model or table.path.stem, labels=known.labels, macs=macs, data=known.data, runtime="imported"
    )
    return Records(
        info,
        known.ids,
        known.truths,
        np.array([index[rows[name].predicted] for name in ids], np.int64),
        np.array([rows[name].probability for name in ids], np.float32),
        upload_bytes=known.upload_bytes,
        groups=known.groups,
        sources=known.sources,
    )


def _index(labels: Sequence[str]) -> dict[str, int]:
    """The number of a class by its name, or by its number as text where no class has that name."""
    return {str(number): number for number in range(len(labels))} | {label: at for at, label in enumerate(labels)}


def _read(path: Path) -> _Table:
    """A CSV's rows; those that stand there twice are merged and told.

    Raises:
        WorkbenchError: it cannot be read, a column is missing, a value is not a probability, or a picture stands there
            twice with different answers.
    """
    rows: dict[str, _Row] = {}
    lines: dict[str, int] = {}
    twice = 0
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            header = next(reader, [])
            if set(_COLUMNS) - set(header):
                raise WorkbenchError(f"{path}: expected the columns {', '.join(_COLUMNS)}; got {', '.join(header)}")
            places = [header.index(column) for column in _COLUMNS]
            truth = header.index("truth") if "truth" in header else -1
            for cells in reader:
                if not cells:
                    continue
                line = reader.line_num
                if len(cells) <= max(*places, truth):
                    raise WorkbenchError(f"{path}, line {line}: expected {len(header)} values; got {len(cells)}")
                name, predicted, chance = (cells[place] for place in places)
                row = _Row(predicted, _chance(chance, path, line), cells[truth] if truth >= 0 else "")
                if name in rows:
                    if rows[name] != row:
                        raise WorkbenchError(
                            f"{path}, line {line}: expected each picture once; {name!r} stands on line {lines[name]} "
                            "with another answer. Keep the right one"
                        )
                    twice += 1
                    continue
                rows[name], lines[name] = row, line
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise WorkbenchError(f"cannot read {path}: {error}") from error
    if twice:
        _log.warning("%s: merged %d rows that stand there more than once, with the same content", path, twice)
    return _Table(path, rows, lines)


def _chance(text: str, path: Path, line: int) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not 0 <= value <= 1:
        raise WorkbenchError(f"{path}, line {line}: expected a probability from 0 to 1; got {text!r}")
    return value
