"""`edge-sdk archive`."""

from __future__ import annotations

import io
import json
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest

from edge_sdk import EdgeClassifier, Frame, Region, StorageSettings
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


def test_close_ups_are_written_beside_the_frames(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state, out = tmp_path / "state", tmp_path / "out"
    storage = StorageSettings(archive="10MB, crop: yes")
    with EdgeClassifier(state_dir=state, threshold=0.0, storage=storage) as edge:
        pixels = np.random.default_rng(0).integers(0, 255, (480, 640, 3), np.uint8)
        edge.classify(Frame(pixels, BEGIN, "cam", regions=(Region(500, 300, 100, 60, 1.0),)))
        edge.classify(frame(1))
    assert archive(state, "export", str(out)) == 0
    assert len(list(out.iterdir())) == 2 and not list(out.glob("*_crop*"))
    assert archive(state, "export", str(out), "--crop") == 0
    assert capsys.readouterr().out.endswith(f"{out}: 0 pictures written, 2 were there\n")
    (crop,) = out.glob("*_crop.jpg")
    header = read_header(crop.read_bytes())
    assert (header.width, header.height) == (200, 150)  # half the region on each side, at the proportions of the frame
    assert parse_exif(header.exif).captured_at == BEGIN
    sheet = tmp_path / "sheet.png"
    assert archive(state, "sheet", "--crop", "--out", str(sheet)) == 0
    assert read_header(sheet.read_bytes()).width == 640


def test_show_and_sheet(state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert archive(state, "list", "--limit", "1", "--json") == 0
    answer = json.loads(capsys.readouterr().out)["answer"]
    out = tmp_path / "one.jpg"
    assert archive(state, "show", answer["frame_id"][-8:], "--out", str(out)) == 0
    text = capsys.readouterr().out
    assert answer["frame_id"] in text and "2026-11-26 08:04:00.000+02:00" in text and "picamera2" in text
    assert parse_exif(read_header(out.read_bytes()).exif).captured_at == BEGIN + timedelta(minutes=4)
    for wrong in ("", "no such id"):
        assert archive(state, "show", wrong) == 2
        assert "expected the id of one picture, or the end of it" in capsys.readouterr().err
    sheet = tmp_path / "sheet.png"
    assert archive(state, "sheet", "--out", str(sheet), "--columns", "3") == 0
    header = read_header(sheet.read_bytes())
    assert (header.width, header.height) == (3 * 320, 2 * 240)
    assert archive(state, "sheet", "--label", "unicorn", "--out", str(sheet)) == 2
    assert "the archive has none of these" in capsys.readouterr().err


def test_prune(state: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    files = state / "archive"
    assert archive(state, "prune") == 2
    assert "which pictures are to go" in capsys.readouterr().err
    assert archive(state, "prune", "--label", "unicorn") == 0
    assert "0 pictures, 0.0 MB deleted" in capsys.readouterr().out
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    assert archive(state, "prune", "--until", "2026-11-26T06:02") == 1
    assert len(list(files.iterdir())) == 5
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert archive(state, "prune", "--until", "2026-11-26T06:02") == 2
    assert "expected --yes" in capsys.readouterr().err
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    assert archive(state, "prune", "--until", "2026-11-26T06:02") == 0
    assert "Delete 2 pictures" in capsys.readouterr().out
    assert len(list(files.iterdir())) == 3
    size = next(files.iterdir()).stat().st_size
    assert archive(state, "prune", "--keep", f"{1.5 * size:.0f}", "--yes") == 0
    assert len(list(files.iterdir())) == 1
    with EdgeClassifier(state_dir=state, storage=StorageSettings(archive="10MB")) as edge:
        entries = list(edge.journal.query())
        assert [entry.picture is not None for entry in entries] == [False] * 4 + [True]
        assert archive(state, "prune", "--older-than", "1", "--yes") == 2
        assert "expected a state folder that is free" in capsys.readouterr().err
    assert archive(state, "prune", "--older-than", "0", "--yes") == 0
    assert len(list(files.iterdir())) == (datetime.now(BEGIN.tzinfo) < BEGIN + timedelta(minutes=4))


def test_it_says_where_it_looked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert archive(tmp_path, "list") == 2
    assert f"no journal at {tmp_path}" in capsys.readouterr().err
