from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from settings_parts import Operator

from edge_sdk import EdgeClassifier, RemoteSettings
from edge_sdk.cli import cli
from edge_sdk.fleet.signed import SettingsKey, read_signed


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["settings", *map(str, arguments)])


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    assert run("key", "--out", tmp_path / "keys").exit_code == 0
    return tmp_path / "keys"


def test_settings_are_signed_into_the_servers_folder_with_rising_versions(keys: Path, tmp_path: Path) -> None:
    folder = tmp_path / "settings"
    folder.mkdir()
    assert (keys / "settings.key").stat().st_mode & 0o777 == 0o600
    given = ["sign", "--key", keys / "settings.key", "--folder", folder]
    done = run(
        *given,
        "--device",
        "cam-1",
        "--threshold",
        0.7,
        "--budget",
        "5MB/day",
        "--never-upload",
        "person",
        "--audit",
        0.1,
    )
    assert done.exit_code == 0, done.output
    assert "device-cam-1.settings: version 1, threshold 0.7" in done.output
    assert run(*given, "--device", "*", "--archive", "1GB, 90 days", "--days", 30).exit_code == 0
    own = read_signed((folder / "device-cam-1.settings").read_bytes())
    everyone = read_signed((folder / "all.settings").read_bytes())
    for signed in (own, everyone):
        SettingsKey(keys / "settings.pub").check(signed)
    assert own.body.settings == {
        "threshold": 0.7,
        "budget": {"upload": "5MB/day"},
        "private": {"never_upload": ["person"]},
        "audit": 0.1,
    }
    assert (own.body.device, own.body.version) == ("cam-1", 1)
    assert (everyone.body.device, everyone.body.version) == ("*", 2)
    assert everyone.body.expires_at is not None
    shown = run("show", folder, "--public", keys / "settings.pub").output
    assert "all.settings: all devices, version 2, until" in shown and "good" in shown
    other = tmp_path / "others"
    run("key", "--out", other)
    assert run("show", folder, "--public", other / "settings.pub").output.count("NOT TRUSTED") == 2


def test_what_a_device_keeps_is_shown(keys: Path, tmp_path: Path) -> None:
    operator, state = Operator(tmp_path / "operator"), tmp_path / "state"
    with EdgeClassifier(state_dir=state, remote=RemoteSettings(operator.public)) as edge:
        assert edge._parts.remote.store.offer(operator.signed(7, threshold=0.6))
    shown = run("show", state, "--public", operator.public).output
    assert shown.startswith("settings.json: all devices, version 7, from ")
    assert shown.endswith(f"signature of {operator.key_id}: good: threshold 0.6\n")
    (state / "settings.json").write_text("{")
    assert "cannot read" in str(run("show", state).exception)
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "no settings at" in str(run("show", empty).exception)


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--device", "../x", "expected a device name"),
        ("--budget", "5", "expected a budget"),
        ("--archive", "5", "archive rule"),
    ],
)
def test_what_no_device_could_use_is_not_signed(
    keys: Path, tmp_path: Path, option: str, value: str, words: str
) -> None:
    given = {"--device": "cam-1", option: value}
    flat = [part for pair in given.items() for part in pair]
    done = run("sign", "--key", keys / "settings.key", "--folder", tmp_path, *flat)
    assert done.exit_code != 0
    assert words in str(done.exception) + done.output
    assert not list(tmp_path.glob("*.settings"))


def test_a_key_is_made_once(keys: Path) -> None:
    done = run("key", "--out", keys)
    assert done.exit_code != 0
