"""Camtrap DP."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from format_parts import TAXA, frame_id, read, said
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk.errors import ConfigError, StorageError
from edge_sdk.formats.camtrap_dp import DESCRIPTOR, write_camtrap_dp
from edge_sdk.formats.deployment import Deployment
from edge_sdk.formats.kinds import Taxa
from edge_sdk.formats.media import Media
from edge_sdk.formats.sighting import Sighting, sightings
from edge_sdk.store.journal import JournalEntry

HIDE = Deployment("d1", "hide", 52.5, -1.25, project="Foxes", contributor="Ann")
NOW = datetime(2026, 7, 1, tzinfo=UTC)


def table(path: Path, key: str) -> dict[str, dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        found = list(csv.DictReader(file))
    by_id = {row[key]: row for row in found}
    assert len(by_id) == len(found)
    return by_id


@pytest.fixture(scope="module")
def package(state: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("camtrap") / "out"
    write_camtrap_dp(out, read(state, base=Path("/card"), copies=out), HIDE, clock=lambda: NOW)
    return out


def test_the_deployment_and_its_period(package: Path) -> None:
    (row,) = table(package / "deployments.csv", "deploymentID").values()
    assert (row["deploymentID"], row["locationName"], row["latitude"], row["longitude"]) == (
        "d1",
        "hide",
        "52.5",
        "-1.25",
    )
    assert row["deploymentStart"] == "2026-06-01T12:00:00+02:00"
    assert row["deploymentEnd"] == "2026-06-01T13:56:40+02:00"


def test_media_are_photos_videos_and_kept_pictures(package: Path) -> None:
    media = table(package / "media.csv", "mediaID")
    assert len(media) == 6 + 3 + 1 + 1 + 2  # live frames, the burst, a bad photo, the video, odd names
    fox, gone, photo, video = (media[frame_id(number)] for number in (1, 2, 10, 30))
    assert (package / fox["filePath"]).is_file() and not fox["mediaComments"]
    assert gone["mediaComments"] and not (package / gone["filePath"]).exists()
    assert (photo["filePath"], photo["fileMediatype"], photo["timestamp"]) == (
        "DCIM/0.JPG",
        "image/jpeg",
        "2026-06-01T12:50:00+02:00",
    )
    assert (video["filePath"], video["fileMediatype"]) == ("DCIM/v.MP4", "video/mp4")
    assert media[frame_id(41)]["filePath"] == "file:///card/a%2E%2Eb%0A.jpg"
    assert media[frame_id(40)]["fileName"].startswith("'=cmd")
    assert {row["filePublic"] for row in media.values()} == {"false"}


def test_why_a_frame_was_taken(package: Path) -> None:
    media = table(package / "media.csv", "mediaID")
    assert [media[frame_id(number)]["captureMethod"] for number in (1, 6, 10)] == [
        "activityDetection",
        "timeLapse",
        "activityDetection",
    ]


def test_an_observation_for_each_medium(package: Path) -> None:
    found = table(package / "observations.csv", "observationID")
    media = {row["mediaID"]: row for row in found.values() if row["observationLevel"] == "media"}
    assert set(media) == set(table(package / "media.csv", "mediaID"))
    fox, empty, waits, deer, spent, person, video = (media[frame_id(number)] for number in (1, 2, 3, 4, 5, 10, 30))
    assert (fox["observationType"], fox["scientificName"], fox["classificationProbability"]) == (
        "animal",
        "Vulpes vulpes",
        "0.7500",
    )
    assert (fox["classificationMethod"], fox["classifiedBy"]) == ("machine", "trailcam 2 (device)")
    assert fox["observationTags"] == "label:fox|truth:fox|state:final|reason:confident"
    assert fox["bboxX"] == ""
    assert (deer["classifiedBy"], deer["scientificName"]) == ("vit 7 (cloud)", "Cervidae")
    assert [one["observationType"] for one in (empty, waits, spent, person)] == [
        "blank",
        "unclassified",
        "unclassified",
        "human",
    ]
    assert (waits["classifiedBy"], waits["scientificName"]) == ("", "")
    assert (video["observationType"], video["eventStart"], video["eventEnd"]) == (
        "vehicle",
        "2026-06-01T13:23:20+02:00",
        "2026-06-01T13:23:21+02:00",
    )


def test_an_observation_for_each_event(package: Path) -> None:
    found = table(package / "observations.csv", "observationID")
    events = {row["eventID"]: row for row in found.values() if row["observationLevel"] == "event"}
    assert {row["eventID"] for row in found.values()} == set(events)
    visit = events[frame_id(1)]
    assert (visit["observationType"], visit["mediaID"], visit["observationComments"]) == ("animal", "", "3 frames")
    assert (visit["eventStart"], visit["eventEnd"]) == ("2026-06-01T12:00:00+02:00", "2026-06-01T12:00:20+02:00")
    assert events[frame_id(6)]["observationType"] == "blank"
    assert "visit" in events


def test_the_descriptor(package: Path) -> None:
    found = json.loads((package / DESCRIPTOR).read_text())
    assert found["created"] == "2026-07-01T00:00:00+00:00"
    assert found["profile"].endswith("/1.0.2/camtrap-dp-profile.json")
    assert [one["title"] for one in found["contributors"]] == ["Ann"]
    assert (found["project"]["title"], set(found["project"]["captureMethod"])) == (
        "Foxes",
        {"timeLapse", "activityDetection"},
    )
    assert found["spatial"]["coordinates"] == [-1.25, 52.5]
    assert found["temporal"] == {"start": "2026-06-01", "end": "2026-06-01"}
    assert [one["scientificName"] for one in found["taxonomic"]] == ["Vulpes vulpes", "Cervidae"]


def test_a_region_is_a_box(state: Path, tmp_path: Path) -> None:
    for copies, box in ((None, [0.5, 0.5, 0.1, 0.1]), (tmp_path / "out", [0.25, 0.25, 0.5, 0.5])):
        write_camtrap_dp(tmp_path / "out", read(state, copies=copies), HIDE)
        found = table(tmp_path / "out" / "observations.csv", "observationID")
        names = [f"bbox{name}" for name in ("X", "Y", "Width", "Height")]
        assert [float(found[f"{frame_id(4)}-media"][name]) for name in names] == box
        assert found[f"{frame_id(4)}-event"]["bboxX"] == ""
        person = [float(found[f"{frame_id(11)}-media"][name]) for name in names]
        assert person == pytest.approx([600 / 640, 440 / 480, 40 / 640, 40 / 480], abs=1e-6)


@given(label=st.text(min_size=1), source=st.text(), suffix=st.sampled_from(["", ".jpg", ".mp4"]), note=st.text())
@settings(max_examples=50)
def test_text_of_others_stays_in_its_cell(package: Path, label: str, source: str, suffix: str, note: str) -> None:
    answer = said(1, label, source=f"{source}{suffix}").answer
    entry = JournalEntry(answer, answer, None, None, note, cloud_model=label)
    out = package.parent / "any"
    write_camtrap_dp(out, sightings([entry], Media(package), TAXA), HIDE)
    (medium,) = table(out / "media.csv", "mediaID").values()
    assert re.fullmatch(r"^(?=^[^./~])(^((?!\.{2}).)*$).*$", medium["filePath"])
    assert re.fullmatch(r"(image|video)/[a-z0-9-]+", medium["fileMediatype"])
    observations = table(out / "observations.csv", "observationID")
    assert sorted(observations) == [f"{frame_id(1)}-event", f"{frame_id(1)}-media"]
    for row in (medium, *observations.values()):
        assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) for cell in row.values())


@pytest.mark.parametrize("place", [Deployment("d1"), Deployment("d1", latitude=1.0)])
def test_a_place_without_coordinates_is_refused(place: Deployment, tmp_path: Path) -> None:
    none: tuple[Sighting, ...] = ()
    with pytest.raises(ConfigError, match="latitude and longitude"):
        write_camtrap_dp(tmp_path / "out", none, place)
    with pytest.raises(ConfigError, match="expected frames, or start and end"):
        write_camtrap_dp(tmp_path / "out", none, HIDE)
    write_camtrap_dp(tmp_path / "out", none, replace(HIDE, start=NOW, end=NOW))
    assert (tmp_path / "out" / DESCRIPTOR).is_file()


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").touch()
    with pytest.raises(ConfigError, match=r"it has photo\.jpg"):
        write_camtrap_dp(tmp_path, (), HIDE)


def test_an_export_that_breaks_off_leaves_the_old_package(state: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_camtrap_dp(out, read(state), HIDE)
    before = {path.name: path.read_bytes() for path in out.iterdir()}

    def broken() -> Iterator[Sighting]:
        yield next(read(state))
        raise StorageError("the card was pulled out")

    with pytest.raises(StorageError):
        write_camtrap_dp(out, broken(), HIDE)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    changed: dict[str, Any] = {"place": "other"}
    write_camtrap_dp(out, read(state), replace(HIDE, **changed))
    assert "other" in (out / "deployments.csv").read_text()


def test_a_group_has_its_rank(tmp_path: Path) -> None:
    labels = [("vulpes", "genus"), ("dogs", "any word"), ("fox", "")]
    answers = [replace(said(number, label).answer, level=level) for number, (label, level) in enumerate(labels)]
    entries = [JournalEntry(answer, answer, None, None, "") for answer in answers]
    taxa = Taxa({"vulpes": "Vulpes", "dogs": "Canidae", "fox": "Vulpes vulpes"})
    write_camtrap_dp(tmp_path / "out", sightings(entries, Media(tmp_path), taxa), HIDE)
    rows = table(tmp_path / "out" / "observations.csv", "observationID")
    vulpes = rows[f"{frame_id(0)}-media"]
    assert (vulpes["observationType"], vulpes["scientificName"]) == ("animal", "Vulpes")
    assert vulpes["observationTags"].startswith("label:vulpes|level:genus|")
    assert "level" not in rows[f"{frame_id(2)}-media"]["observationTags"]
    assert json.loads((tmp_path / "out" / DESCRIPTOR).read_text())["taxonomic"] == [
        {"scientificName": "Vulpes", "taxonRank": "genus"},
        {"scientificName": "Canidae"},
        {"scientificName": "Vulpes vulpes"},
    ]
