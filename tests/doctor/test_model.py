"""The bundle and its speed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from doctor_parts import found, look

from edge_sdk.doctor.finding import Asked, Case, Finding, Level
from edge_sdk.doctor.machine import Machine
from edge_sdk.model.bundle import open_bundle


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return Path(shutil.copytree(open_bundle("trailcam").path, tmp_path / "bundle"))


def test_the_shipped_bundle_is_checked_and_timed() -> None:
    case = Case(Machine(), Asked(camera="simulated://trailcam"))
    bundle, speed = look("bundle", case), look("speed", case)
    assert bundle is not None and speed is not None
    assert bundle.level is speed.level is Level.OK
    assert "golden picture" in bundle.found and bundle.values["frame_ms"] > 0 and bundle.values["size"] == [640, 480]
    assert speed.values["frame_ms"] == bundle.values["frame_ms"]


def test_real_cameras_are_none_of_its(bundle: Path) -> None:
    finding = found("bundle", Machine(), Asked(camera="/dev/video0", bundle=str(bundle)))
    assert finding.level is Level.WARNING and "made for the simulated camera" in finding.found


def test_a_processor_that_computes_wrong_results(bundle: Path) -> None:
    manifest = json.loads((bundle / "manifest.json").read_text())
    manifest["golden"]["logits"][0] += 1
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    finding = found("bundle", Machine(), Asked(bundle=str(bundle)))
    assert finding.level is Level.FAULT and "computes wrong results on this processor" in finding.found
    assert "wheel for this processor" in finding.do


def test_a_program_that_is_cut_off_or_gone(bundle: Path) -> None:
    content = (bundle / "model.pte").read_bytes()
    (bundle / "model.pte").write_bytes(content[: len(content) // 2])
    assert found("bundle", Machine(), Asked(bundle=str(bundle))).level is Level.FAULT
    shutil.rmtree(bundle)
    case = Case(Machine(), Asked(bundle=str(bundle)))
    missing = look("bundle", case)
    assert missing is not None and missing.level is Level.FAULT and str(bundle) in missing.found
    assert look("speed", case) is None


def test_an_install_without_a_runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\nsys.modules['edge_sdk._native'] = None\nsys.modules['executorch'] = None\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    case = Case(Machine(), Asked())
    runtime, bundle = look("runtime", case), look("bundle", case)
    assert runtime is not None and runtime.values == {"native": False} and "compiler" in runtime.do
    assert bundle is not None and bundle.level is Level.FAULT and bundle.do == "see the check `runtime`"


def test_a_camera_that_is_faster_than_the_model() -> None:
    case = Case(Machine(), Asked())
    case.found["bundle"] = Finding(Level.OK, "", "", {"frame_ms": 200.0, "size": [640, 480]})
    case.found["camera"] = Finding(Level.OK, "", "", {"live": True, "frames_per_s": 30.0})
    speed = look("speed", case)
    assert speed is not None and speed.level is Level.WARNING and "frames are left out" in speed.found
