"""Where a device's state lies when nobody names the folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_sdk.config import default_state_dir
from edge_sdk.device_config import state as of_devices
from edge_sdk.device_config.state import state_folder


def test_the_folder_has_the_name_of_the_bundle(tmp_path: Path) -> None:
    assert state_folder(None, "bundles/garden").name == "garden"
    (tmp_path / "manifest.json").write_text('{"name": "the north gate"}')
    assert state_folder(None, tmp_path) == default_state_dir("the north gate")


def test_the_folder_of_the_service_counts_where_the_user_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(of_devices, "SERVICES", tmp_path / "lib")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "home"))
    own, of_service = tmp_path / "home/edge-sdk/trailcam", tmp_path / "lib/edge-sdk/trailcam"
    assert state_folder(None) == own
    of_service.mkdir(parents=True)
    assert state_folder(None) == of_service
    own.mkdir(parents=True)
    assert state_folder(None) == own and state_folder(tmp_path) == tmp_path
