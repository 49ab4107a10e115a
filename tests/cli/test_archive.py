"""`edge-sdk archive`."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest

from edge_sdk import EdgeClassifier, Frame, StorageSettings
from edge_sdk.cli import cli
from edge_sdk.images.exif import parse_exif
from edge_sdk.images.header import read_header
from edge_sdk.terminal.command import run

BEGIN = datetime(2026, 11, 26, 8, tzinfo=timezone(timedelta(hours=2)))


def frame(number: int, source: str = "picamera2") -> Frame:
    pixels = np.random.default_rng(number).integers(0, 255, (48, 64, 3), np.uint8)
    return Frame(pixels, BEGIN + timedelta(minutes=number), source)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Five frames, a minute apart, that are kept."""
    folder = tmp_path / "state"
    with EdgeClassifier(state_dir=folder, threshold=0.0, storage=StorageSettings(archive="10MB")) as edge:
        for number in range(5):
            edge.classify(frame(number))
    return folder


def archive(state: Path, command: str, *more: str) -> int:
    return run(cli, "edge-sdk", ["archive", command, *more, "--state", str(state)])


def test_list(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert archive(state, "list") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5 and all("picamera2" in line and " kB" in line for line in lines)
    assert archive(state, "list", "--since", "2026-11-26T06:01", "--limit", "2", "--json") == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["answer"]["captured_at"] for one in found] == [
        (BEGIN + timedelta(minutes=number)).isoformat() for number in (3, 4)
    ]
    assert archive(state, "list", "--event", found[0]["event"], "--json") == 0
    assert json.loads(capsys.readouterr().out)["event"] == found[0]["event"]
    assert archive(state, "list", "--label", "unicorn") == 0
    assert capsys.readouterr().out == ""


def test_sizes(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert archive(state, "sizes") == 0
    assert "all" in capsys.readouterr().out


def test_export_goes_on_where_it_was_and_says_what_is_in_the_pictures(
    state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert archive(state, "export", str(out), "--limit", "2") == 0
    assert capsys.readouterr().out == f"{out}: 2 pictures written\n"
    assert archive(state, "export", str(out)) == 0
    assert capsys.readouterr().out == f"{out}: 3 pictures written, 2 were there\n"
    files = sorted(out.iterdir())
    assert len(files) == 5
    assert files[0].name.startswith("20261126-080000_picamera2_") and files[0].suffix == ".jpg"
    for number, file in enumerate(files):
        read = parse_exif(read_header(file.read_bytes()).exif)
        assert read.captured_at == BEGIN + timedelta(minutes=number)
        assert read.captured is not None and read.captured_at is not None
        assert read.captured_at.utcoffset() == timedelta(hours=2)


def test_export_by_class_while_the_device_runs(state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    storage = StorageSettings(archive="10MB")
    with EdgeClassifier(state_dir=state, threshold=0.0, storage=storage) as edge:
        answer = edge.classify(frame(5, "rtsp://cam:secret@10.0.0.7/live?token=x"))
        assert edge.journal.flush()
        assert archive(state, "export", str(tmp_path / "out"), "--by-class") == 0
        gone = edge.journal.entry(answer.frame_id)
        assert gone is not None and gone.picture is not None
        (state / gone.picture).unlink()
        assert archive(state, "export", str(tmp_path / "again"), "--by-class") == 0
    assert "1 could not be read" in capsys.readouterr().out
    files = [path.relative_to(tmp_path / "out") for path in (tmp_path / "out").rglob("*.jpg")]
    assert len(files) == 6
    assert all(file.parent.name == file.stem.split("_")[2] for file in files)
    assert not any("secret" in file.name or "token" in file.name for file in files)
    assert any("_10.0.0.7-live_" in file.name for file in files)


def test_it_says_where_it_looked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert archive(tmp_path, "list") == 2
    assert f"no journal at {tmp_path}" in capsys.readouterr().err
