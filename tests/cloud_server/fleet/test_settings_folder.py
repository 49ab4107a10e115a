from __future__ import annotations

from pathlib import Path

import pytest
from settings_parts import Operator

from cloud_server.fleet.settings_folder import SettingsFolder
from edge_sdk.errors import ConfigError
from edge_sdk.fleet.signed import MOST_BYTES


def test_a_device_gets_its_own_settings_before_those_for_all(tmp_path: Path) -> None:
    operator = Operator(tmp_path / "keys")
    everyone, own = operator.signed(5), operator.signed(2, "cam-1")
    (tmp_path / "all.settings").write_bytes(everyone)
    (tmp_path / "device-cam-1.settings").write_bytes(own)
    folder = SettingsFolder(tmp_path)
    assert folder.newest("cam-1", 0) == own
    assert folder.newest("cam-1", 2) is None
    assert folder.newest("cam-2", 4) == everyone
    assert folder.newest("cam-2", 5) is None


def test_a_change_is_seen_without_a_restart(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    operator = Operator(tmp_path / "keys")
    folder = SettingsFolder(tmp_path)
    assert folder.newest("cam-1", 0) is None
    (tmp_path / "all.settings").write_bytes(operator.signed(1))
    assert folder.newest("cam-1", 0) == operator.signed(1)
    (tmp_path / "all.settings").write_bytes(operator.signed(2))
    (tmp_path / "older.settings").write_bytes(operator.signed(1))
    assert folder.newest("cam-1", 1) == operator.signed(2)
    (tmp_path / "broken.settings").write_bytes(b"x" * (MOST_BYTES + 1))
    (tmp_path / "folder.settings").mkdir()
    (tmp_path / "note.txt").write_bytes(b"x")
    assert folder.newest("cam-1", 1) == operator.signed(2)
    assert "broken.settings is not handed out" in caplog.text
    (tmp_path / "all.settings").unlink()
    assert folder.newest("cam-1", 1) is None


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected a folder of signed settings"):
        SettingsFolder(tmp_path / "none")
