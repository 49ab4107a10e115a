"""Which device a command is about: options, else the config file, else the user's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_sdk import EdgeClassifier, Frame
from edge_sdk.cli import cli
from edge_sdk.device_config import device as of_config
from edge_sdk.device_config import state as of_devices
from edge_sdk.terminal.command import run

READERS = (
    ["journal"],
    ["drift"],
    ["audit"],
    ["audit", "label", "0" * 32, "deer"],
    ["archive", "list"],
    ["archive", "sizes"],
    ["export-data", "--format", "csv", "--out", "frames.csv"],
)


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, and no device on this machine."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "of the user"))
    monkeypatch.setattr(of_devices, "SERVICES", tmp_path / "of services")
    monkeypatch.setattr(of_config, "PLACES", (Path("edge-sdk.toml"), tmp_path / "etc" / "edge-sdk.toml"))
    return tmp_path


def answered(folder: Path, source: str) -> None:
    """A device that has answered one frame."""
    with EdgeClassifier(state_dir=folder, threshold=0.0) as edge:
        edge.classify(Frame(np.zeros((48, 64, 3), np.uint8), source=source))


def config(path: Path, text: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def seen(capsys: pytest.CaptureFixture[str], *given: str) -> tuple[int, str]:
    capsys.readouterr()
    code = run(cli, "edge-sdk", list(given))
    said = capsys.readouterr()
    return code, said.out + said.err


def test_the_folder_of_the_config_file_is_read_and_options_win(
    nowhere: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("here", "etc/there", "named", "of the user/edge-sdk/trailcam"):
        (nowhere / name).parent.mkdir(parents=True, exist_ok=True)
        answered(nowhere / name, f"cam-{name}")
    assert "cam-of the user" in seen(capsys, "journal")[1]
    config(nowhere / "etc/edge-sdk.toml", '[storage]\nstate_dir = "there"\n')
    assert "cam-etc/there" in seen(capsys, "journal")[1]
    mine = config(nowhere / "edge-sdk.toml", '[storage]\nstate_dir = "here"\n')
    assert "cam-here" in seen(capsys, "journal")[1]
    assert "cam-etc/there" in seen(capsys, "journal", "--config", "etc/edge-sdk.toml")[1]
    assert "cam-named" in seen(capsys, "journal", "--state", "named")[1]
    monkeypatch.setenv("EDGE_SDK_CONFIG", "etc/edge-sdk.toml")
    assert "cam-etc/there" in seen(capsys, "journal")[1]
    monkeypatch.setenv("EDGE_SDK_STORAGE__STATE_DIR", "named")
    assert "cam-named" in seen(capsys, "journal")[1]
    monkeypatch.delenv("EDGE_SDK_CONFIG")
    mine.unlink()
    (nowhere / "etc/edge-sdk.toml").unlink()
    assert "cam-named" in seen(capsys, "journal")[1]


@pytest.mark.parametrize("command", READERS, ids=" ".join)
def test_every_command_that_reads_a_device_reads_its_config_file(
    nowhere: Path, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    config(nowhere / "garden.toml", '[storage]\nstate_dir = "garden"\n[camera]\naddress = 7\n')
    code, said = seen(capsys, *command, "--config", "garden.toml")
    assert code == 2 and f"no journal at {nowhere / 'garden'}" in said


def test_settings_that_a_device_keeps_are_found_by_its_config_file(
    nowhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config(nowhere / "edge-sdk.toml", '[storage]\nstate_dir = "garden"\n')
    code, said = seen(capsys, "settings", "show")
    assert code == 2 and f"no settings at {nowhere / 'garden'}" in said


def test_the_services_folder_is_found_and_its_bundle_used(nowhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answered(nowhere / "of services/edge-sdk/trailcam", "cam-service")
    config(nowhere / "edge-sdk.toml", '[bundle]\npath = "trailcam"\n')
    assert "cam-service" in seen(capsys, "journal")[1]
    config(nowhere / "edge-sdk.toml", '[bundle]\npath = "bundles/hedgehog"\n')
    assert str(nowhere / "of the user/edge-sdk/hedgehog") in seen(capsys, "journal")[1]
    assert "bundles/hedgehog" in seen(capsys, "audit")[1]
    code, said = seen(capsys, "audit", "--bundle", "trailcam")
    assert code == 0 and "0 exits, 0 audits" in said


def test_a_config_file_that_cannot_be_used_is_told_with_its_line(
    nowhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config(nowhere / "edge-sdk.toml", "[storage]\nstate_dir = 7\n")
    code, said = seen(capsys, "journal")
    assert code == 2 and "edge-sdk.toml:2: storage.state_dir" in said
    config(nowhere / "edge-sdk.toml", "[storage\n")
    assert "edge-sdk.toml:1: expected TOML" in seen(capsys, "journal")[1]
    assert "garden.toml" in seen(capsys, "journal", "--config", "garden.toml")[1]
