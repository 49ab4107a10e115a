"""The guide from an empty card to a running trap: its commands are there, its config file has no fault."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from edge_sdk.cli import cli
from edge_sdk.device_config.check import find_faults
from edge_sdk.device_config.reading import read

ROOT = Path(__file__).resolve().parent.parent.parent
GUIDE = (ROOT / "docs" / "guides" / "empty-card.md").read_text()
SHELL = "\n".join(re.findall(r"^```sh\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE))
PREFIX = r"^(?:sudo (?:-u edge-sdk )?)?(?:/opt/edge-sdk/bin/)?"
COMMANDS = re.findall(PREFIX + r"edge-sdk (.+?)(?:\s+#.*)?$", SHELL, re.MULTILINE)


def test_there_are_commands() -> None:
    assert len(COMMANDS) >= 8


@pytest.mark.parametrize("line", COMMANDS)
def test_each_command_is_one_that_there_is(line: str) -> None:
    command: click.Command | None = cli
    words, context = shlex.split(line), click.Context(cli)
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        command, name = command.get_command(context, words[0]), words.pop(0)
        assert command is not None, f"{line}: no command {name}"
        context = click.Context(command, parent=context, info_name=name)
    assert command is not None
    command.make_parser(context).parse_args(words)


def test_the_config_file_has_no_fault(tmp_path: Path) -> None:
    (block,) = re.findall(r"^```toml\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)
    (tmp_path / "edge-sdk.toml").write_text(block)
    (tmp_path / "ca.pem").write_text("")
    (tmp_path / "cam-1.token").write_text("")
    (tmp_path / "cam-1.token").chmod(0o600)
    assert read(tmp_path / "edge-sdk.toml", {}).faults == []
    said = [str(fault) for fault in find_faults(read(tmp_path / "edge-sdk.toml", {}))]
    assert not [one for one in said if "ca.pem" not in one and "token" not in one], said


def test_the_scripts_that_it_names_are_there() -> None:
    named = re.findall(r"^(scripts/[\w-]+)", SHELL, re.MULTILINE)
    assert named and all((ROOT / name).is_file() for name in named)
    assert all((ROOT / "docs" / "guides" / name).is_file() for name in re.findall(r"\]\(([\w-]+\.md)", GUIDE))
