"""State folders: fresh, in use, worn by power cuts, damaged, of a newer version."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from doctor_parts import found, look

from edge_sdk import EdgeClassifier
from edge_sdk.doctor.finding import Asked, Case, Finding, Level
from edge_sdk.doctor.machine import Machine
from edge_sdk.store.table import FILE
from edge_sdk.testing import FakeCamera


def store(folder: Path) -> Finding:
    return found("store", Machine(), Asked(state=folder))


@pytest.fixture
def used(tmp_path: Path) -> Path:
    """A state folder with frames that wait."""
    folder = tmp_path / "state"
    with EdgeClassifier("trailcam", state_dir=folder, threshold=1.0, cloud="127.0.0.1:1") as edge:
        for frame in FakeCamera(3):
            edge.classify(frame)
    return folder


def test_a_folder_that_is_not_there_yet_stays_away(tmp_path: Path) -> None:
    folder = found("folder", Machine(), Asked(state=tmp_path / "a" / "state"))
    assert folder.level is Level.OK and "can be made" in folder.found and folder.values["write_ms"] > 0
    assert look("store", Case(Machine(), Asked(state=tmp_path / "a" / "state"))) is None
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "state").touch()
    assert found("folder", Machine(), Asked(state=tmp_path / "state")).level is Level.FAULT


def test_a_used_folder_is_looked_at_and_left_as_it_is(used: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in used.rglob("*") if path.is_file()}
    finding = store(used)
    assert finding.level is Level.OK and finding.values["waiting"] == 3 and finding.values["sound"] == "ok"
    assert finding.values["offloaded_per_day"] == 3.0
    assert {path: path.stat().st_mtime_ns for path in used.rglob("*") if path.is_file()} == before


def test_a_service_that_holds_it_is_named_and_not_disturbed(used: Path) -> None:
    with EdgeClassifier("trailcam", state_dir=used, threshold=1.0) as edge:
        folder = found("folder", Machine(), Asked(state=used))
        assert folder.level is Level.OK and folder.values["held_by"] == f"process {os.getpid()}"
        assert store(used).values["frames"] == 3
        camera = found("camera", Machine(), Asked(state=used, camera="/dev/video0"))
        assert camera.level is Level.NOTE and f"process {os.getpid()} works here" in camera.found
        for frame in FakeCamera(1):
            edge.classify(frame)
    assert found("folder", Machine(), Asked(state=used)).values["held_by"] == ""


def test_power_cuts_leave_traces(used: Path) -> None:
    (used / "damaged" / "a.frame").touch()
    (used / f"{FILE}.damaged").touch()
    finding = store(used)
    assert finding.level is Level.WARNING and "2 damaged files were set aside" in finding.found


def test_a_damaged_table(used: Path) -> None:
    content = bytearray((used / FILE).read_bytes())
    content[1024 : 1024 * 6] = os.urandom(1024 * 5)
    (used / FILE).write_bytes(content)
    assert store(used).level is Level.FAULT
    (used / FILE).write_bytes(b"no table at all" * 100)
    finding = store(used)
    assert finding.level is Level.FAULT and "cannot be read" in finding.found


def test_a_table_of_a_newer_version(used: Path) -> None:
    with closing(sqlite3.connect(used / FILE)) as connection:
        connection.execute("PRAGMA user_version = 1000")
    finding = store(used)
    assert finding.level is Level.FAULT and "newer edge_sdk" in finding.found


def test_a_table_of_an_older_version(used: Path) -> None:
    with closing(sqlite3.connect(used / FILE)) as connection:
        connection.execute("PRAGMA user_version = 3")
        connection.execute("DROP TABLE clock")
    finding = store(used)
    assert finding.level is Level.OK and "next start brings up to date" in finding.found


def test_frames_that_wait_for_weeks(used: Path) -> None:
    """By the store's clock: the photos of a card may be years old."""
    with closing(sqlite3.connect(used / FILE)) as connection:
        connection.execute("UPDATE frames SET captured_us = 0")
        connection.commit()
    assert store(used).level is Level.OK
    with closing(sqlite3.connect(used / FILE)) as connection:
        connection.execute("UPDATE frames SET handled_ns = handled_ns - 20 * 86400 * 1000000000")
        connection.commit()
    finding = store(used)
    assert finding.level is Level.WARNING and "waits for 20 days" in finding.found


def test_an_empty_folder(tmp_path: Path) -> None:
    assert store(tmp_path).level is Level.NOTE


def test_a_folder_of_another_user(tmp_path: Path) -> None:
    if os.geteuid():
        tmp_path.chmod(0o500)
        assert found("folder", Machine(), Asked(state=tmp_path)).level is Level.FAULT
        return
    script = (
        "import os, sys; sys.path.insert(0, sys.argv[1]); from pathlib import Path\n"
        "from doctor_parts import found; from edge_sdk.doctor.finding import Asked; "
        "from edge_sdk.doctor.machine import Machine\n"
        "os.setuid(65534); finding = found('folder', Machine(), Asked(state=Path(sys.argv[2])))\n"
        "print(finding.level, finding.do)"
    )
    tests = Path(__file__).resolve().parent.parent
    (tmp_path / "state").mkdir()
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(folder.stat().st_mode | 0o555)
    done = subprocess.run(
        [sys.executable, "-c", script, str(tests), str(tmp_path / "state")], capture_output=True, text=True
    )
    assert done.stdout.startswith("fault sudo chown"), done
