"""Faults that only show beside other files."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_network import write_tiny_bundle

from edge_sdk.device_config.check import find_faults
from edge_sdk.device_config.reading import read


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("check")
    write_tiny_bundle(folder / "bundle")
    return folder


def faults(folder: Path, text: str) -> list[str]:
    path = folder / "edge-sdk.toml"
    path.write_text(f"[camera]\naddress = '0'\n{text}")
    return [str(fault).removeprefix(f"{folder}/") for fault in find_faults(read(path, {}))]


def test_a_good_file_has_none(folder: Path) -> None:
    assert faults(folder, "[bundle]\npath = 'bundle'\n[preferences]\nnever_upload = ['deer']\n") == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[bundle]\npath = 'no-bundle'\n", "edge-sdk.toml:4: bundle.path: "),
        (
            "[bundle]\npath = 'bundle'\ndetector = 'bundle'\n",
            "edge-sdk.toml:5: bundle.detector: ",
        ),
        ("[bundle]\npath = 'bundle'\ndetector = 'no-detector'\n", "edge-sdk.toml:5: bundle.detector: "),
        (
            "[preferences]\nnever_upload = ['dear']\n",
            "expected classes of the bundle (empty, deer, fox); got 'dear'; did you",
        ),
        ("[preferences]\nweights = {bear = 2}\n", "edge-sdk.toml:4: preferences.weights: expected classes"),
        ("[blur]\n", "edge-sdk.toml:3: blur.classes: expected classes of the bundle (empty, deer, fox); got 'person'"),
        ("[storage]\narchive = '1GB, never: bear'\n", "edge-sdk.toml:4: storage.archive: expected classes"),
        ("[[alerts.rules]]\nclasses = ['bear']\n", "edge-sdk.toml:3: alerts.rules: expected classes"),
        ("[cloud]\nserver = 'vm.example:50051'\n", "edge-sdk.toml:4: cloud.server: expected an encrypted link"),
        ("[cloud]\nserver = 'vm.example:1'\n[security]\nca = 'no.pem'\n", "edge-sdk.toml:6: security.ca: cannot read"),
        ("[cloud]\nproxy_file = 'none.url'\n", "edge-sdk.toml:4: cloud.proxy_file: cannot read the address of"),
        ("[remote]\nkey = 'none.pem'\n", "edge-sdk.toml:4: remote.key: cannot read the key of settings"),
        ("[budgets]\ncompute = '3kJ/h'\n", "edge-sdk.toml:4: budgets.compute: expected a PowerModel"),
        ("[alerts]\nmqtt = 'ftp://broker'\n", "edge-sdk.toml:4: alerts.mqtt: expected"),
    ],
)
def test_what_a_file_names_is_looked_up(folder: Path, text: str, said: str) -> None:
    (found,) = faults(folder, text if "[bundle]" in text else f"{text}[bundle]\npath = 'bundle'\n")
    assert said in found


def test_faults_of_reading_and_of_looking_come_together(folder: Path) -> None:
    text = "[bundle]\npath = 'bundle'\n[preferences]\nnever_upload = ['dear']\nadit = 1\n[budgets]\nupload = '5MB'\n"
    found = faults(folder, text)
    assert [one.split(": ")[1] for one in found] == ["preferences.never_upload", "preferences.adit", "budgets.upload"]
    assert len(faults(folder, "[camera]\n")) == 1  # it is no TOML


def test_what_follows_from_a_fault_is_none(folder: Path) -> None:
    (folder / "edge-sdk.toml").write_text("[camera]\naddress = 3\n[bundle]\npath = 'bundle'\n")
    (fault,) = find_faults(read(folder / "edge-sdk.toml", {}))
    assert str(fault).endswith('camera.address: expected a text or "none"; got 3; did you mean "3"?')


def test_a_camera_is_needed(tmp_path: Path) -> None:
    (tmp_path / "edge-sdk.toml").write_text("")
    (fault,) = find_faults(read(tmp_path / "edge-sdk.toml", {}))
    assert fault.key == "camera.address" and "picamera2" in fault.text
