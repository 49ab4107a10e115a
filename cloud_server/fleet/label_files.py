"""Labels of people as files that the workbench reads."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from cloud_server.fleet.archive_folder import safe_name
from cloud_server.fleet.database.labels import Label
from edge_sdk.durable.files import write_whole
from edge_sdk.errors import ConfigError, StorageError
from edge_sdk.terminal.cell import guarded

COLUMNS = ("id", "answer", "frame_id", "file", "label", "place", "labelled_by", "labelled_at")
"""`edge-sdk calibrate --answers` reads `id` and `answer`, `audit import` `frame_id` and `label`, `train` and `records`
file, label and place."""
_NONE_FITS = "-"
"""The label of a picture that no class fits, which the workbench reads as it is."""
_SUFFIXES = (".jpg", ".png", ".webp")


def write_labels(out: Path, labels: Iterable[Label], archive: Path | None = None) -> tuple[int, int]:
    """Write a CSV with a line for each label: a list of pictures for training, where the archive has them.

    Args:
        out: the file; `file` is relative to its folder.
        labels: what counts.
        archive: the server's frame archive; None: no pictures are named.

    Returns:
        Labels written, and those of them without a picture.

    Raises:
        StorageError: a file cannot be read or written.
    """
    pictures = {} if archive is None else _pictures(archive)
    found = list(labels)
    files = {
        one.frame_id: os.path.relpath(path, out.absolute().parent)
        for one in found
        if (path := pictures.get(safe_name(one.frame_id))) is not None
    }
    _write(out, labels_table(found, files))
    return len(found), sum(one.frame_id not in files for one in found)


def labels_table(labels: Iterable[Label], files: Mapping[str, str] | None = None) -> str:
    """The CSV.

    Args:
        labels: what counts.
        files: frame id -> its picture.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for one in labels:
        at = f"{datetime.fromtimestamp(one.made_ms / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"
        label, frame_id, device, by = map(_cell, (one.label or "", one.frame_id, one.device, one.made_by))
        writer.writerow([frame_id, label, frame_id, (files or {}).get(one.frame_id, ""), label, device, by, at])
    return text.getvalue()


def answer_questions(out: Path, asked: Path, labels: Iterable[Label]) -> tuple[int, int]:
    """Write the questions of `edge-sdk calibrate --ask` with the answers that people gave meanwhile.

    A question's id is its frame's, or names the picture of the archive, whose name is the frame's id.

    Returns:
        Questions with an answer, and all.

    Raises:
        ConfigError: it is no such file.
        StorageError: a file cannot be read or written.
    """
    known = {safe_name(one.frame_id): one.label or "" for one in labels}
    try:
        with open(asked, newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            names = list(reader.fieldnames or ())
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise StorageError(f"cannot read {asked}: {error}") from error
    if not {"id", "answer"} <= set(names):
        raise ConfigError(f"{asked}: expected the columns id and answer; got {', '.join(names) or 'nothing'}")
    for row in rows:
        row["answer"] = row["answer"] or known.get(Path(row["id"] or "").stem, "")
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    _write(out, text.getvalue())
    return sum(bool(row["answer"]) for row in rows), len(rows)


def _pictures(archive: Path) -> dict[str, Path]:
    """The archive's pictures by name."""
    if not archive.is_dir():
        raise ConfigError(f"expected the folder of cloud-server --archive; {archive} is none")
    return {path.stem: path for path in archive.glob("????-??-??/*") if path.suffix in _SUFFIXES}


def _cell(text: str) -> str:
    return text if text == _NONE_FITS else guarded(text)


def _write(out: Path, text: str) -> None:
    try:
        write_whole(out, text)
    except OSError as error:
        raise StorageError(f"cannot write {out}: {error.strerror}") from error
