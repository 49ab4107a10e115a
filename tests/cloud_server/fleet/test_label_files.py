from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from cloud_server.fleet.database.labels import Label
from cloud_server.fleet.label_files import answer_questions, labels_table, write_labels
from edge_sdk.errors import ConfigError, StorageError
from edge_sdk.workbench.photo_list import photos_in

LABELS = [Label("cam-1", "a1", "fox", "ada", 0), Label("=cmd", "B?", "-", "bob", 1000)]


def rows(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_labels_name_the_pictures_of_the_archive(tmp_path: Path) -> None:
    picture = tmp_path / "archive" / "2026-11-28" / "a1.jpg"
    picture.parent.mkdir(parents=True)
    picture.write_bytes(b"jpeg")
    out = tmp_path / "labels.csv"
    assert write_labels(out, LABELS, tmp_path / "archive") == (2, 1)
    first, second = rows(out)
    assert (first["file"], first["label"], first["place"]) == ("archive/2026-11-28/a1.jpg", "fox", "cam-1")
    assert (second["file"], second["place"], second["labelled_at"]) == ("", "'=cmd", "1970-01-01T00:00:01Z")
    with pytest.raises(ConfigError, match=r"expected the folder of cloud-server --archive"):
        write_labels(out, LABELS, tmp_path / "none")


def test_the_workbench_reads_them(tmp_path: Path) -> None:
    picture = tmp_path / "2026-11-28" / "a1.jpg"
    picture.parent.mkdir()
    picture.write_bytes(b"jpeg")
    write_labels(tmp_path / "labels.csv", LABELS[:1], tmp_path)
    (photo,) = photos_in(tmp_path / "labels.csv")
    assert (photo.path, photo.label, photo.place) == (picture, "fox", "cam-1")


def test_questions_get_the_answers_that_people_gave(tmp_path: Path) -> None:
    asked, out = tmp_path / "asked.csv", tmp_path / "answers.csv"
    asked.write_text("id,path,answer\n2026-11-28/a1.jpg,x,\na2,y,\na3,z,deer\n")
    assert answer_questions(out, asked, LABELS) == (2, 3)
    assert [row["answer"] for row in rows(out)] == ["fox", "", "deer"]
    asked.write_text("frame\n")
    with pytest.raises(ConfigError, match="expected the columns id and answer; got frame"):
        answer_questions(out, asked, LABELS)
    with pytest.raises(StorageError, match="cannot read"):
        answer_questions(out, tmp_path / "none.csv", LABELS)


def test_labels_as_a_table() -> None:
    said = {"a": "fox, red", "b": "-", "d": "=1"}
    labels = [Label("cam-1", frame_id, label, "ada", 5) for frame_id, label in said.items()]
    rows = list(csv.DictReader(io.StringIO(labels_table(labels))))
    assert [(row["id"], row["answer"], row["frame_id"], row["label"]) for row in rows] == [
        ("a", "fox, red", "a", "fox, red"),
        ("b", "-", "b", "-"),
        ("d", "'=1", "d", "'=1"),
    ]
