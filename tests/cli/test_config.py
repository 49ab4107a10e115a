"""`edge-sdk config`."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from edge_sdk.cli import cli
from edge_sdk.cli.config import STARTING
from edge_sdk.device_config.keys import all_keys, keys_of
from edge_sdk.device_config.reading import read


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_file_to_begin_with_is_written_once_and_has_no_fault(folder: Path) -> None:
    runner = CliRunner()
    assert runner.invoke(cli, ["config", "init"]).exit_code == 0
    assert (folder / "edge-sdk.toml").read_bytes() == STARTING.read_bytes()
    checked = runner.invoke(cli, ["config", "check"])
    assert (checked.exit_code, checked.output) == (0, "edge-sdk.toml: 3 settings, no fault\n")
    (folder / "edge-sdk.toml").write_text("mine")
    assert runner.invoke(cli, ["config", "init"]).exit_code != 0
    assert (folder / "edge-sdk.toml").read_text() == "mine"
    assert runner.invoke(cli, ["config", "init", "no/such/folder.toml"]).exit_code != 0


def test_every_key_that_the_file_to_begin_with_names_is_there_and_can_be_used(folder: Path) -> None:
    text = STARTING.read_text()
    lines = [line if re.match(r"\[|\w+ = ", line) else line.removeprefix("# ") for line in text.splitlines()]
    named = "\n".join(line for line in lines if re.match(r"\[|\w+ = ", line) and "address_file" not in line)
    tomllib.loads(named)
    (folder / "whole.toml").write_text(named)
    reading = read(folder / "whole.toml", {})
    assert [str(fault) for fault in reading.faults] == []
    assert len(reading.given) > 30


def test_faults_are_told_all_at_once(folder: Path) -> None:
    (folder / "edge-sdk.toml").write_text("[camera]\naddres = 1\n[budgets]\nupload = '5MB'\n")
    for command in ("check", "show"):
        done = CliRunner().invoke(cli, ["config", command])
        assert done.exit_code == 1
        assert [line.split(": ")[0] for line in done.stderr.splitlines()] == ["edge-sdk.toml:2", "edge-sdk.toml:4"]


def test_settings_are_shown_with_their_origin(folder: Path) -> None:
    (folder / "other.toml").write_text("[budgets]\nupload = '5MB/day'\n")
    runner = CliRunner(env={"EDGE_SDK_CONFIG": "other.toml", "EDGE_SDK_BUNDLE__THREADS": "2"})
    given = runner.invoke(cli, ["config", "show", "--given"])
    assert given.output.split("\n\n") == [
        "[bundle]\nthreads = 2  # EDGE_SDK_BUNDLE__THREADS",
        '[budgets]\nupload = "5MB/day"  # other.toml:2\n',
    ]
    whole = runner.invoke(cli, ["config", "show"]).output
    assert (
        whole.count(" = ")
        == sum(1 for key in all_keys().values() if key.section not in ("blur", "duty", "power", "remote")) - 1
    )


def test_the_file_to_begin_with_has_keys_of_rules() -> None:
    from edge_sdk.alerts.rule import AlertRule

    rules = {key.name for key in keys_of(AlertRule, "alerts.rules", paths=frozenset())}
    block = STARTING.read_text().partition("[[alerts.rules]]")[2].partition("[service]")[0]
    assert set(re.findall(r"^# (\w+) = ", block, re.MULTILINE)) <= rules


def test_without_a_file_it_says_how_to_begin(folder: Path) -> None:
    done = CliRunner().invoke(cli, ["config", "check"])
    assert done.exit_code != 0
    assert "edge-sdk config init" in str(done.exception)
