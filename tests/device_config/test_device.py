"""A device made of its file."""

from __future__ import annotations

from pathlib import Path

import pytest
from alert_parts import receiver
from tiny_network import write_tiny_bundle

from edge_sdk import EdgeClassifier, load_config
from edge_sdk.config import UplinkSettings
from edge_sdk.device_config.device import find_config
from edge_sdk.errors import ConfigError
from edge_sdk.model.priors import Place


def write(folder: Path, text: str) -> Path:
    path = folder / "edge-sdk.toml"
    path.write_text(text)
    return path


def private(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o600)


def test_a_device_runs_as_its_file_says(tmp_path: Path) -> None:
    write_tiny_bundle(tmp_path / "bundle")
    text = """\
[deployment]
name = "cam-7"
place = "46.5,9.8"
[camera]
address = "simulated://trailcam?seed=1&frames=12"
[bundle]
path = "bundle"
[budgets]
upload = "5MB/day"
[gate]
heartbeat_s = 5.0
[storage]
state_dir = "state"
archive = "1MB"
"""
    config = load_config(write(tmp_path, text), {})
    options = config.classifier_options()
    assert options["place"] == Place(46.5, 9.8)
    with config.open_camera() as camera, EdgeClassifier(**options) as edge:
        assert config.open_alerts(edge) is None
        answered = list(edge.watch(camera))
        assert answered
        assert edge.usage.budgets[0].budget.limit == 5_000_000
        assert edge.state_dir == tmp_path / "state"


def test_addresses_of_files(tmp_path: Path) -> None:
    private(tmp_path / "camera.url", "rtsp://user:hunter22@cam/1\n")
    private(tmp_path / "proxy.url", "http://user:hunter22@proxy:3128\n")
    path = write(tmp_path, "[camera]\naddress_file = 'camera.url'\n[cloud]\nproxy_file = 'proxy.url'\n")
    config = load_config(path, {})
    assert config.camera_address == "rtsp://user:hunter22@cam/1"
    assert config.classifier_options()["uplink"] == UplinkSettings(proxy="http://user:hunter22@proxy:3128")
    (tmp_path / "camera.url").chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        _ = config.camera_address


def test_a_remote_without_a_name_has_that_of_the_device(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, "[deployment]\nname = 'cam-7'\n[remote]\nkey = 'settings.pem'\n"), {})
    assert config.classifier_options()["remote"].device == "cam-7"


def test_alerts_leave_as_the_file_says(tmp_path: Path) -> None:
    write_tiny_bundle(tmp_path / "bundle")
    with receiver() as server:
        text = f"[bundle]\npath = 'bundle'\n[alerts]\nwebhook = '{server.url}'\n[[alerts.rules]]\nclasses = ['CLASS']\n"
        options = {"EDGE_SDK_STORAGE__STATE_DIR": str(tmp_path / "state")}
        config = load_config(write(tmp_path, text.replace("CLASS", "fox")), options)
        with EdgeClassifier(**config.classifier_options()) as edge:
            alerts = config.open_alerts(edge)
            assert alerts is not None
            alerts.close()
            other = load_config(write(tmp_path, text.replace("CLASS", "unicorn")), options)
            with pytest.raises(ConfigError, match="got unicorn"):
                other.open_alerts(edge)


def test_faults_are_one_error_with_all_lines(tmp_path: Path) -> None:
    path = write(tmp_path, "[camera]\nfsp = 1\n[budgets]\nupload = '5MB'\n")
    with pytest.raises(ConfigError, match=r"toml:2: camera.fsp.*; .*toml:4: budgets.upload"):
        load_config(path, {})


def test_a_camera_must_be_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"expected camera\.address"):
        load_config(write(tmp_path, ""), {}).open_camera()


def test_the_file_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="edge-sdk config init"):
        find_config()
    write(tmp_path, "")
    assert find_config() == Path("edge-sdk.toml")
    assert find_config("other.toml") == Path("other.toml")
