"""`edge-sdk export-data`."""

from __future__ import annotations

import asyncio
import csv
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from format_parts import fill

from cloud_server.fleet.report_store import Report, ReportStore
from edge_sdk import EdgeClassifier, MotionGate, open_camera
from edge_sdk.cli import cli
from edge_sdk.cli.export_data import FORMATS
from edge_sdk.config import StorageSettings
from edge_sdk.fleet.answers import ReportedAnswer
from edge_sdk.fleet.report_file import Status
from edge_sdk.terminal.command import run
from edge_sdk.types import Origin, Reason

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
PLACE = ["--place", "hide", "--latitude", "52.5", "--longitude", "-1.25"]


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fill(tmp_path_factory.mktemp("export") / "state")


def export(state: Path, out: Path, form: str, *more: str) -> int:
    return run(cli, "edge-sdk", ["export-data", "--format", form, "--state", str(state), "--out", str(out), *more])


@pytest.mark.parametrize("form", FORMATS)
def test_every_format(form: str, state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "new" / "out"
    for _ in range(2):  # a second time replaces the first
        assert export(state, out, form, *PLACE) == 0
        assert capsys.readouterr().out == f"{out}: 17 frames\n"
    assert out.is_dir() == (form == "camtrap-dp")


@pytest.mark.parametrize("form", FORMATS)
def test_one_event_alone(form: str, state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert export(state, tmp_path / "all.csv", "csv") == 0
    with (tmp_path / "all.csv").open() as file:
        events = [row["event"] for row in csv.DictReader(file)]
    event = max(events, key=events.count)
    capsys.readouterr()
    assert export(state, tmp_path / "one", form, *PLACE, "--event", event) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'one'}: {events.count(event)} frames\n"
    assert export(state, tmp_path / "other.csv", "csv", "--pictures", "--event", "none") == 0
    assert not (tmp_path / "media").exists()  # pictures of other events are not copied


def test_times_taxa_base_and_pictures(state: Path, tmp_path: Path) -> None:
    taxa = tmp_path / "taxa.json"
    taxa.write_text(json.dumps({"fox": "Vulpes vulpes", "truck": "unknown"}))
    given = ["--taxa", str(taxa), "--since", "2026-06-01T10:00", "--until", "2026-06-01T10:49:59", "--pictures"]
    assert export(state, tmp_path / "a.csv", "csv", *given) == 0
    with (tmp_path / "a.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6
    assert rows[0]["scientific_name"] == "Vulpes vulpes"
    assert (tmp_path / rows[0]["file"]).is_file()
    assert export(state, tmp_path / "md.json", "megadetector", "--base", "/card/DCIM", "--taxa", str(taxa)) == 0
    images = {one["file"]: one for one in json.loads((tmp_path / "md.json").read_text())["images"]}
    assert images["v.MP4"]["detections"][0]["category"] == "4"


def test_what_a_device_did_and_what_a_server_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state, archive = tmp_path / "state", tmp_path / "archive"
    storage = StorageSettings(archive="10MB")
    with EdgeClassifier(state_dir=state, gate=MotionGate(), threshold=0.0, storage=storage) as edge:
        seen = [frame for frame, _ in edge.watch(open_camera("simulated://trailcam?seed=2&frames=12"))]
    out = tmp_path / "package"
    assert export(state, out, "camtrap-dp", *PLACE, "--pictures") == 0
    with (out / "media.csv").open(newline="") as file:
        media = list(csv.DictReader(file))
    assert {row["mediaID"] for row in media} == {frame.frame_id for frame in seen}
    assert all((out / row["filePath"]).is_file() for row in media)
    archive.mkdir()
    line = {"file": "2026-06-01/a.jpg", "label": "deer", "confidence": 0.9, "model": "vit", "device": "cam-1"}
    (archive / "answers.jsonl").write_text(json.dumps({**line, "received_at": "2026-06-01T12:00:00Z"}))
    capsys.readouterr()
    given = ["--archive", str(archive), "--device", "cam-1", "--format", "csv", "--out", str(tmp_path / "a.csv")]
    assert run(cli, "edge-sdk", ["export-data", *given]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'a.csv'}: 1 frames\n"


def test_what_devices_reported_is_exported_as_a_journal_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = Origin.DEVICE, Reason.CONFIDENT
    ids = [f"{number:032x}" for number in range(1, 4)]
    answers = [
        ReportedAnswer(one, NOON, "picamera2", "trailcam 3 aa", "deer", 0.8, *said, "deer", 0.8, ids[0])
        for one in ids[:2]
    ]
    cloud = Origin.CLOUD, Reason.CLOUD
    answers.append(ReportedAnswer(ids[2], NOON, "picamera2", "trailcam 3 aa", "fox", 0.6, *cloud, "deer", 0.4, ids[2]))
    reports = tmp_path / "reports"

    async def keep() -> None:
        store = ReportStore(reports)
        await store.keep("cam-1", Report(Status(), answers))
        await store.keep("cam-2", Report(Status(), answers[:1]))
        await store.close()

    asyncio.run(keep())
    out = tmp_path / "a.csv"
    given = ["--reports", str(reports), "--format", "csv", "--out", str(out)]
    assert run(cli, "edge-sdk", ["export-data", *given, "--device", "cam-1"]) == 0
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["label"], row["event"]) for row in rows] == [("deer", ids[0]), ("deer", ids[0]), ("fox", ids[2])]
    assert {row["model"] for row in rows} == {"trailcam 3 (device)", "big model (cloud)"}
    assert run(cli, "edge-sdk", ["export-data", *given]) == 2
    assert "expected the name of one device" in capsys.readouterr().err
    package = ["--reports", str(reports), "--device", "cam-1", "--format", "camtrap-dp", "--out", str(tmp_path / "p")]
    assert run(cli, "edge-sdk", ["export-data", *package, *PLACE]) == 0


def test_one_line_says_what_is_wrong(state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def refused(*given: str, out: Path = tmp_path / "out", folder: Path = state) -> str:
        assert export(folder, out, *given) == 2
        (line,) = capsys.readouterr().err.splitlines()
        return line

    assert "expected latitude and longitude" in refused("camtrap-dp")
    assert "-90 to 90; got 91" in refused("camtrap-dp", "--latitude", "91", "--longitude", "0")
    assert "expected a file for csv" in refused("csv", out=tmp_path)
    assert "--device" in refused("csv", "--device", "cam-1")
    assert "not both" in refused("csv", "--archive", str(tmp_path))
    assert "no journal at" in refused("csv", folder=tmp_path)
    (tmp_path / "file").touch()
    assert "expected a folder for camtrap-dp" in refused("camtrap-dp", *PLACE, out=tmp_path / "file")
    assert not (tmp_path / "out").exists()


def test_scientific_names_of_groups_come_from_the_taxonomy(state: Path, tmp_path: Path) -> None:
    taxonomy = tmp_path / "taxonomy.json"
    node = {"rank": "family", "scientific_name": "Cervidae"}
    taxonomy.write_text(json.dumps({"classes": {"roe": ["deer"]}, "nodes": {"deer": node}}))
    assert export(state, tmp_path / "a.csv", "csv", "--taxonomy", str(taxonomy)) == 0
    with (tmp_path / "a.csv").open(newline="") as file:
        assert "Cervidae" in {row["scientific_name"] for row in csv.DictReader(file)}
