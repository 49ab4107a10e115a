"""Pseudo-labels: frames labelled with the big model's answers, as `cloud-server --keep FOLDER` stores them.

FOLDER holds `answers.jsonl`, one JSON object with `file`, `label` and `confidence` on each line (other keys are
ignored), or `answers.csv` with these columns, or both. A line of the CSV replaces the JSON line of the same file, so
that a person can correct the model.
"""

from __future__ import annotations

import csv
import json
import logging
import os
import re
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TypeGuard

import numpy as np

from edge_sdk.errors import WorkbenchError

_log = logging.getLogger(__name__)

JSON_LINES = "answers.jsonl"
CSV = "answers.csv"
COLUMNS = ("file", "label", "confidence")
BURST_MS = 60_000
"""Frames of a class that follow one another within this time are one burst, and look alike."""
_FRAME_ID = re.compile(r"([0-9a-f]{12})7[0-9a-f]{19}")  # UUID version 7: it begins with milliseconds since 1970
_NO_TEXT = re.compile("[\0\ufffd\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class PseudoLabel:
    """A picture and the big model's answer on it.

    Attributes:
        path: the encoded picture.
        label: the likeliest class.
        confidence: its probability, in [0, 1].
    """

    path: Path
    label: str
    confidence: float


def is_archive(folder: Path) -> bool:
    """Whether a folder is one that `cloud-server --archive` fills."""
    return any((folder / file).is_file() for file in (JSON_LINES, CSV))


def read_pseudo_labels(folder: str | Path, *, min_confidence: float = 0.8) -> list[PseudoLabel]:
    """Read the frames of a folder whose answer is at least `min_confidence` sure, in the order of their lines.

    Each file is read once; the last line about it counts. Lines that cannot be parsed, and lines whose file is missing
    or empty, are skipped; the log says how many.

    Args:
        folder: as `cloud-server --keep` fills it.
        min_confidence: frames below it are left out; in [0, 1].

    Raises:
        WorkbenchError: there is no such folder, neither of the two files in it, a CSV lacks a column, or a line names a
            file outside the folder.
    """
    root = Path(folder)
    if not 0 <= min_confidence <= 1:
        raise WorkbenchError(f"expected min_confidence from 0 to 1; got {min_confidence}")
    tables = [path for path in (root / JSON_LINES, root / CSV) if path.is_file()]
    if not tables:
        raise WorkbenchError(
            f"expected a folder with {JSON_LINES} (cloud-server --keep) or {CSV} (columns {', '.join(COLUMNS)}); "
            f"{root} has neither"
        )
    inside = Path(os.path.realpath(root))
    frames: dict[Path, PseudoLabel] = {}
    for table in tables:
        unreadable = 0
        for number, row in _rows(table):
            frame = _frame_of(row, root)
            if frame is None:
                unreadable += 1
                continue
            place = Path(os.path.realpath(frame.path))
            if not place.is_relative_to(inside):
                raise WorkbenchError(f"expected files inside {root}; line {number} of {table} names {frame.path}")
            frames[place] = frame
        if unreadable:
            _log.warning("%s: %d lines were skipped that cannot be read", table, unreadable)
    found = [frame for frame in frames.values() if _is_there(frame.path)]
    if len(found) < len(frames):
        _log.warning("%s: %d lines were skipped whose file is missing or empty", root, len(frames) - len(found))
    return [frame for frame in found if frame.confidence >= min_confidence]


def choose(frames: Sequence[PseudoLabel], shots: int, labels: Sequence[str] | None, seed: int) -> dict[str, list[Path]]:
    """Choose few samples of each class, spread over bursts, by a seeded generator.

    The frames of a class are put into groups: bursts, where every file's name is a device's frame id, which begins with
    its time (`BURST_MS`); else `shots` stretches of equal length in the order of the names. Each group in turn, in
    random order, gives one frame, until there are enough. Within a group a frame's chance is proportional to its
    confidence, the chance that its label is right; no rule prefers sure frames further, as they teach the least.

    Args:
        frames: from `read_pseudo_labels`.
        shots: largest number of samples of each class; a class with fewer frames gives them all.
        labels: the classes; None: all that occur, sorted. Frames of other classes are ignored.
        seed: the same frames and seed give the same samples, whatever the other classes are; 0 or more.

    Returns:
        For each class its samples; an empty list for one of `labels` that has no frame.

    Raises:
        WorkbenchError: `shots` is below 1, or `seed` below 0.
    """
    if shots < 1 or seed < 0:
        raise WorkbenchError(f"expected shots of at least 1 and a seed of at least 0; got {shots} and {seed}")
    of_class: dict[str, list[PseudoLabel]] = {label: [] for label in labels or ()}
    for frame in frames:
        if labels is None:
            of_class.setdefault(frame.label, [])
        if frame.label in of_class:
            of_class[frame.label].append(frame)
    names = sorted(of_class) if labels is None else list(of_class)
    return {
        name: _choose(of_class[name], shots, np.random.default_rng([seed, zlib.crc32(name.encode())])) for name in names
    }


def _choose(frames: Sequence[PseudoLabel], shots: int, rng: np.random.Generator) -> list[Path]:
    groups = _groups(frames, shots)
    rng.shuffle(groups)
    chosen: list[Path] = []
    while groups and len(chosen) < shots:
        for group in groups[: shots - len(chosen)]:
            weights = np.array([frame.confidence for frame in group]) + 1e-9
            chosen.append(group.pop(int(rng.choice(len(group), p=weights / weights.sum()))).path)
        groups = [group for group in groups if group]
    return chosen


def _groups(frames: Sequence[PseudoLabel], shots: int) -> list[list[PseudoLabel]]:
    """Frames of one class that may look alike; never an empty group."""
    ordered = sorted(frames, key=lambda frame: (frame.path.name, str(frame.path)))
    matches = [_FRAME_ID.fullmatch(frame.path.stem) for frame in ordered]
    times = [int(match[1], 16) for match in matches if match]
    if len(times) < len(ordered):
        edges = [len(ordered) * part // shots for part in range(shots + 1)]
    else:
        starts = [index for index in range(1, len(times)) if times[index] - times[index - 1] > BURST_MS]
        edges = [0, *starts, len(ordered)]
    groups = [ordered[begin:end] for begin, end in pairwise(edges)]
    return [group for group in groups if group]


def _rows(table: Path) -> Iterator[tuple[int, object]]:
    """Each line's number and its parsed content; None for a line that cannot be parsed."""
    try:
        with table.open(encoding="utf-8-sig", errors="replace", newline="") as file:
            if table.name == JSON_LINES:
                for number, line in enumerate(file, 1):
                    if line.strip():
                        yield number, _json(line)
                return
            reader = csv.DictReader(file)
            counts = Counter(reader.fieldnames or ())
            if missing := [name for name in COLUMNS if not counts[name]]:
                raise WorkbenchError(
                    f"expected the columns {', '.join(COLUMNS)} in {table}; it lacks {', '.join(missing)}"
                )
            for row in reader:
                yield reader.line_num, row
    except (OSError, csv.Error) as error:
        raise WorkbenchError(f"cannot read {table}: {error}") from error


def _json(line: str) -> object:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _frame_of(row: object, root: Path) -> PseudoLabel | None:
    if not isinstance(row, Mapping):
        return None
    file, label, confidence = (row.get(name) for name in COLUMNS)
    if not _is_text(file) or not _is_text(label):
        return None
    if isinstance(confidence, bool) or not isinstance(confidence, int | float | str):
        return None
    try:
        number = float(confidence)
    except (ValueError, OverflowError):
        return None
    return PseudoLabel(root / file, label, number) if 0 <= number <= 1 else None


def _is_text(value: object) -> TypeGuard[str]:
    """Whether it is text that a file may be called; U+FFFD marks bytes that were not UTF-8."""
    return isinstance(value, str) and bool(value) and not _NO_TEXT.search(value)


def _is_there(path: Path) -> bool:
    try:
        return path.is_file() and path.stat().st_size > 0
    except OSError:
        return False
