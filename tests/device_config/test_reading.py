"""Faults with their lines, values with their origins."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.alerts.rule import AlertRule
from edge_sdk.config import PowerModel, RemoteSettings, StorageSettings, UplinkSettings
from edge_sdk.device_config.check import find_faults
from edge_sdk.device_config.keys import all_keys
from edge_sdk.device_config.reading import Reading, read
from edge_sdk.device_config.sections import AlertsSection, Budgets
from edge_sdk.device_config.show import toml
from edge_sdk.errors import ConfigError
from edge_sdk.model.policy import Preferences
from edge_sdk.pipeline.blur import Blur
from edge_sdk.security.credentials import Security


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def of(folder: Path, text: str, **environment: str) -> Reading:
    (folder / "edge-sdk.toml").write_text(text)
    return read(folder / "edge-sdk.toml", environment)


def said(folder: Path, text: str, **environment: str) -> list[str]:
    return [str(fault).removeprefix(f"{folder}/") for fault in of(folder, text, **environment).faults]


def test_all_faults_come_at_once_in_the_order_of_the_file(folder: Path) -> None:
    text = """\
[camera]
adress = "picamera2"

[budgets]
upload = "5MB"   # a day?
[cloud]
window = 0
server = "vm"
[preferences]
never_upload = "person"
[bugets]
"""
    faults = said(folder, text)
    assert faults[0] == "edge-sdk.toml:2: camera.adress: there is no such key; did you mean camera.address?"
    assert faults[1].startswith("edge-sdk.toml:5: budgets.upload: expected a budget such as")
    assert faults[1].endswith('did you mean "5MB/day"?')
    assert faults[2] == "edge-sdk.toml:7: cloud.window: expected window as a whole number of frames, 1 or more; got 0"
    assert faults[3].startswith("edge-sdk.toml:8: cloud.server: expected the cloud's address as host:port")
    assert faults[4] == (
        "edge-sdk.toml:10: preferences.never_upload: expected a list of texts; got 'person'; did you mean [\"person\"]?"
    )
    assert faults[5].startswith("edge-sdk.toml:11: bugets: expected a section of deployment, camera,")
    assert faults[5].endswith("did you mean budgets?")
    assert len(faults) == 6


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[camera\n", "edge-sdk.toml:1: expected TOML: "),
        ("a = 1\n\n[camera]\nfps = \n", "edge-sdk.toml:4: expected TOML: "),
        ("fps = 3\n", "edge-sdk.toml:1: fps: expected a section of"),
        ("camera = 3\n", "edge-sdk.toml:1: camera: expected a table [camera]; got 3"),
        ("[[camera]]\nfps = 1\n", "edge-sdk.toml:1: camera: expected a table [camera]; got [{"),
        ("[camera]\naddress = 0\n", 'expected a text or "none"; got 0; did you mean "0"?'),
        ("[camera]\nfps = true\n", 'edge-sdk.toml:2: camera.fps: expected a number or "none"; got True'),
        ("[bundle]\nview = 'regin'\n", 'did you mean "region"?'),
        (
            "[preferences]\narchive = '1GB'\n",
            "preferences.archive: there is no such key; did you mean storage.archive?",
        ),
        ("[preferences.weights]\ndeer = 'much'\n", "edge-sdk.toml:1: preferences.weights: expected a table of numbers"),
        ("[power]\njoules_per_byte = 1.0\nactive_watts = -1.0\n", "edge-sdk.toml:3: power.active_watts: expected"),
        ("[security]\ncert = 'a.pem'\n", "edge-sdk.toml:2: security.cert: expected cert and key together"),
        ("[remote]\n", "edge-sdk.toml:1: remote.key: expected this key in [remote]: PEM file"),
        ("[storage]\narchive = '90 days'\n", "edge-sdk.toml:2: storage.archive: expected the size"),
        ("[alerts]\nrules = 3\n", "edge-sdk.toml:2: alerts.rules: expected tables [[alerts.rules]]; got 3"),
        ("[[alerts.rules]]\nclases = ['fox']\n", "edge-sdk.toml:2: alerts.rules.clases: there is no such key"),
        (
            "[[alerts.rules]]\n[[alerts.rules]]\n\nat_most = 'x'\n",
            "edge-sdk.toml:4: alerts.rules.at_most: expected a rate",
        ),
        ("[alerts]\nrules = [\n{},\n{min_confidence = 2}]\n", "edge-sdk.toml:4: alerts.rules.min_confidence: expected"),
        ("x = " + "[" * 5000 + "]" * 5000, "edge-sdk.toml:1: expected TOML; got tables within tables without end"),
    ],
)
def test_a_fault_says_where_and_what(folder: Path, text: str, fault: str) -> None:
    (found,) = said(folder, text)
    assert fault in found


def test_the_environment_goes_over_the_file(folder: Path) -> None:
    reading = of(
        folder,
        "[budgets]\nupload = '5MB/day'\n[storage]\nspool_age_s = 60\n",
        EDGE_SDK_BUDGETS__UPLOAD="1MB/h",
        EDGE_SDK_BUDGETS__CLOUD='["1TMAC/h", "2TMAC/day"]',
        EDGE_SDK_STORAGE__SPOOL_AGE_S="none",
        EDGE_SDK_PREFERENCES__NEVER_UPLOAD='["person"]',
        EDGE_SDK_PREFERENCES__WEIGHTS="{deer = 2}",
        EDGE_SDK_POWER__ACTIVE_WATTS="2.5",
        EDGE_SDK_TOKEN="another program's",
        EDGE_SDK_DATA="/data",
    )
    assert not reading.faults
    assert reading.parts[Budgets] == Budgets("1MB/h", None, ("1TMAC/h", "2TMAC/day"))
    assert reading.parts[StorageSettings].spool_age_s is None
    assert reading.parts[Preferences] == Preferences({"deer": 2.0}, ("person",))
    assert reading.parts[PowerModel] == PowerModel(2.5)
    assert reading.given["budgets", "upload"].where == "EDGE_SDK_BUDGETS__UPLOAD"


def test_faults_of_the_environment_name_the_variable(folder: Path) -> None:
    token = "A" * 43
    faults = said(
        folder,
        "",
        EDGE_SDK_BUDGETS__UPLOD="1MB/h",
        EDGE_SDK_EVENTS__BEST="many",
        EDGE_SDK_SECURITY__TOKEN_FILE=token,
        EDGE_SDK_CLOUD__SERVER="vm",
    )
    assert faults[0].startswith(
        "EDGE_SDK_BUDGETS__UPLOD: budgets.uplod: there is no such key; did you mean EDGE_SDK_BUDG"
    )
    assert faults[1].startswith("EDGE_SDK_CLOUD__SERVER: cloud.server: expected the cloud's address")
    assert faults[2].startswith("EDGE_SDK_EVENTS__BEST: events.best: expected a whole number or")
    assert faults[3].startswith("EDGE_SDK_SECURITY__TOKEN_FILE: security.token_file: expected no secret here")
    assert token not in "".join(faults)


def test_secrets_in_the_file_are_refused_and_not_repeated(folder: Path) -> None:
    faults = said(folder, "[security]\ntoken = 'hunter22'\n[camera]\naddress = 'rtsp://u:hunter22@cam'\n")
    assert len(faults) == 2
    assert "hunter22" not in "".join(faults)


def test_paths_are_relative_to_the_file_and_to_the_working_folder_of_the_environment(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "there").mkdir()
    monkeypatch.chdir(folder / "there")
    reading = of(
        folder,
        "[security]\nca = 'keys/ca.pem'\n[storage]\nstate_dir = '/state'\n[bundle]\npath = 'trailcam'\n",
        EDGE_SDK_SECURITY__TOKEN_FILE="cam.token",
    )
    assert reading.parts[Security] == Security(
        ca=str(folder / "keys/ca.pem"), token_file=str(folder / "there/cam.token")
    )
    assert reading.given["storage", "state_dir"].value == "/state"
    assert reading.given["bundle", "path"].value == "trailcam"
    assert of(folder, "[bundle]\npath = 'there'").given["bundle", "path"].value == str(folder / "there")
    assert of(folder, "[bundle]\npath = './x'").given["bundle", "path"].value == str(folder / "x")


@pytest.mark.parametrize("address", ["picamera2", "0", "/photos", "~/photos", "rtsp://cam/1", "simulated://trailcam"])
def test_an_address_that_is_no_relative_path_stays(folder: Path, address: str) -> None:
    assert of(folder, f"[camera]\naddress = '{address}'").given["camera", "address"].value == address


def test_photos_lie_relative_to_the_file(folder: Path) -> None:
    given = of(folder, "[camera]\naddress = 'photos/?watch=yes'").given["camera", "address"].value
    assert given == f"{folder}/photos/?watch=yes"


def test_optional_sections_are_there_only_where_they_are_named(folder: Path) -> None:
    assert not {Blur, PowerModel, RemoteSettings} & set(of(folder, "").parts)
    parts = of(folder, "[blur]\n[power]\n[remote]\nkey = 'settings.pem'\n").parts
    assert (parts[Blur], parts[PowerModel]) == (Blur(), PowerModel())
    assert parts[RemoteSettings] == RemoteSettings(str(folder / "settings.pem"))


def test_rules_of_alerts(folder: Path) -> None:
    text = "[[alerts.rules]]\nclasses = ['fox']\nat_most = '5/h'\n[[alerts.rules]]\nkinds = ['fault']\n"
    reading = of(folder, text)
    assert not reading.faults
    assert reading.parts[AlertsSection].rules == (AlertRule(("fox",), at_most="5/h"), AlertRule(kinds=("fault",)))  # type: ignore[arg-type]


def test_a_file_that_cannot_be_read_is_an_error(folder: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read the config file"):
        read(folder / "none.toml")
    (folder / "utf16.toml").write_bytes("[camera]".encode("utf-16"))
    with pytest.raises(ConfigError, match="save it as UTF-8"):
        read(folder / "utf16.toml")


def test_defaults_are_those_of_the_settings(folder: Path) -> None:
    parts = of(folder, "").parts
    assert parts[UplinkSettings] == UplinkSettings()
    assert parts[StorageSettings] == StorageSettings()
    assert parts[Preferences] == Preferences()


ODD = st.sampled_from(["none", "0,0", "5MB/day", "rtsp://", "[::1]:5", "mqtt://[", "\0", "~root", "/" * 300, 10**30])
VALUES = st.recursive(
    st.text(max_size=12) | st.booleans() | st.integers() | st.floats(allow_nan=False) | ODD,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(list(all_keys())), VALUES, max_size=4))
def test_whatever_stands_in_a_file_becomes_values_or_faults(given: dict[tuple[str, str], object]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.toml"
        path.write_text("".join(f"{section}.{name} = {toml(value)}\n" for (section, name), value in given.items()))
        found = find_faults(read(path, {}))
    assert all(str(fault).startswith(f"{path}:") for fault in found)
