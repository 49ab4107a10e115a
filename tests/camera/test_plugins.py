"""A camera of another package: a real installed distribution, made here."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from edge_sdk.camera import open_camera
from edge_sdk.camera.plugins import plugin_schemes
from edge_sdk.errors import CameraError, ConfigError

MODULE = """
from edge_sdk.errors import CameraError
from edge_sdk.testing import FakeCamera

def open_thermal(url, *, fps, on_fault):
    if url.endswith("9"):
        raise CameraError("there is no camera 9")
    if url.endswith("8"):
        raise OSError("the driver failed")
    if url.endswith("7"):
        return None
    camera = FakeCamera(3, on_fault=on_fault)
    camera.told = (url, fps)
    return camera
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`tmp_path` as a site-packages folder with one package in it."""
    (tmp_path / "thermal_cameras.py").write_text(MODULE)
    info = tmp_path / "thermal_cameras-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: thermal-cameras\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[edge_sdk.cameras]\nthermal = thermal_cameras:open_thermal\n")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    return tmp_path


@pytest.mark.usefixtures("installed")
def test_a_scheme_of_another_package_is_opened_by_it() -> None:
    assert plugin_schemes() == ["thermal"]
    with open_camera("Thermal://0?gain=2", fps=5) as camera:
        assert camera.told == ("Thermal://0?gain=2", 5)  # type: ignore[attr-defined]
        assert len(list(camera)) == 3


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("thermal://9", "there is no camera 9"),
        ("thermal://8", "thermal_cameras:open_thermal failed: OSError: the driver failed"),
        ("thermal://7", "expected a Camera of thermal_cameras:open_thermal; got NoneType"),
    ],
)
def test_its_failures_are_camera_errors(url: str, message: str) -> None:
    with pytest.raises(CameraError, match=message):
        open_camera(url)


def test_two_packages_for_one_scheme_are_refused(installed: Path) -> None:
    info = installed / "other-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[edge_sdk.cameras]\nthermal = other:open\n")
    importlib.invalidate_caches()
    with pytest.raises(ConfigError, match="expected one package for thermal:// cameras; got"):
        open_camera("thermal://0")


@pytest.mark.usefixtures("installed")
def test_the_message_on_an_unknown_scheme_names_those_of_other_packages() -> None:
    with pytest.raises(ConfigError, match=r"expected simulated://.*, thermal://, a path"):
        open_camera("ftp://x")
