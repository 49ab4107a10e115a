"""Kept pictures as files: their names, and what they say of themselves."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from store_parts import device

from edge_sdk.config import StorageSettings
from edge_sdk.formats.picture_files import PictureFiles, file_name, metadata_of
from edge_sdk.images.encode import encode
from edge_sdk.images.header import read_header
from edge_sdk.images.rendition import Upload
from edge_sdk.store.frames import SpoolItem
from edge_sdk.store.schema import FrameRecord, JournalEntry
from edge_sdk.store.store import Store
from edge_sdk.types import Answer, Image, Origin, Reason

AT = datetime(2026, 11, 26, 8, 30, 5, tzinfo=UTC)
ID = "0190a1b2c3d47e5f8a9b0c1d2e3f4a5b"


def entry(source: str = "picamera2", label: str | None = "red fox", frame_id: str = ID) -> JournalEntry:
    said = Answer(frame_id, AT, source, label, 0.934, Origin.DEVICE, True, Reason.CONFIDENT)
    return JournalEntry(said, said, None, None, "", model="trailcam 2", event="e1")


def test_names() -> None:
    assert file_name(entry()) == "20261126-083005_picamera2_red-fox_2e3f4a5b"
    assert file_name(entry("/media/card/DCIM/IMG_1.JPG", None)) == "20261126-083005_DCIM_unknown_2e3f4a5b"
    assert file_name(entry("rtsp://10.0.0.7/live?x=1")) == "20261126-083005_10.0.0.7-live_red-fox_2e3f4a5b"
    assert file_name(entry("", "../\n..", "/../x")) == "20261126-083005_camera__x"
    assert len(file_name(entry("c" * 500, "l" * 500))) < 130


def test_what_a_file_says_of_itself() -> None:
    said = metadata_of(entry())
    assert (said.captured_at, said.camera, said.description) == (AT, "picamera2", "red fox, 93%, device")
    assert (said.keywords, said.unique_id) == (("red fox",), ID)
    comment = json.loads(said.comment)
    assert comment == {
        **{"label": "red fox", "confidence": 0.934, "origin": "device", "reason": "confident"},
        **{"model": "trailcam 2", "frame": ID, "event": "e1"},
    }
    assert metadata_of(entry(frame_id="short")).unique_id == ""


def picture() -> Image:
    return np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)


def test_a_webp_stays_one_and_a_second_export_writes_nothing(tmp_path: Path) -> None:
    with Store(tmp_path / "state", StorageSettings(archive="1MB")) as store:
        for name, upload in (("a", Upload()), ("b", Upload(format="webp"))):
            image = encode(picture(), upload)
            item = SpoolItem(name, image, np.zeros(2, np.float32), 0.0, AT, "cam")
            store.exit(FrameRecord(replace(device(name), captured_at=AT)), item)
        entries = list(store.journal.query())
    files = PictureFiles(tmp_path / "state", tmp_path / "out")
    for _ in range(2):
        for one in entries:
            files.write(one)
    assert (files.done.written, files.done.there, files.done.gone) == (2, 2, 0)
    found = {path.suffix: path for path in (tmp_path / "out").iterdir()}
    assert set(found) == {".jpg", ".webp"}
    assert read_header(found[".webp"].read_bytes()).format == "WebP"
