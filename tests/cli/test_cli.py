"""The command edge-sdk as a whole: its list, its help, its errors."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest

from edge_sdk.cli import DEVICE, WORKBENCH, cli
from edge_sdk.terminal.command import run

NAMES = [one.name or "" for one in (*DEVICE, *WORKBENCH)]

WITHOUT_EXTRAS = """
import sys
MISSING = {"torch", "torchvision", "timm", "scipy", "matplotlib", "safetensors", "executorch", "torch_pruning",
           "torchao", "cryptography", "pandas", "grpc_health"}

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in MISSING:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
from edge_sdk.cli import cli
from edge_sdk.terminal.command import run
"""


def without_extras(code: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-c", WITHOUT_EXTRAS + code]
    return subprocess.run(command, capture_output=True, text=True)


def test_help_of_all_commands_needs_no_extra_and_loads_nothing_heavy() -> None:
    code = f"""
for name in {NAMES!r}:
    assert run(cli, "edge-sdk", [name, "--help"]) == 0, name
assert run(cli, "edge-sdk", ["--help"]) == 0
print(sorted({{"numpy", "cv2", "grpc", "torch", "matplotlib"}} & set(sys.modules)))
"""
    done = without_extras(code)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
    for name in NAMES:
        assert f"Usage: edge-sdk {name}" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "missing"),
    [
        (["train", "--model", "m", "--data", ".", "--out", "m.safetensors"], "torch"),
        (["export", "--model", "m", "--data", ".", "--out", "bundle"], "torch"),
        (["calibrate", "--bundle", ".", "--big", "m", "--data", "."], "scipy"),
        (["ladder", "--bundle", ".", "--big", "m", "--data", "."], "torch"),
        (["records", "m", "--data", ".", "--out", "r"], "torch"),
        (["companion", "--big", "m", "--candidates", "c", "--data", ".", "--out", "o"], "torch"),
        (["sequence", "--big", "m", "--bundle", ".", "--data", ".", "--out", "o"], "torch"),
        (
            ["specialize", "--big", "m", "--data", ".", "--out", "o", "--target", "params=2x", "--without-control"],
            "torch",
        ),
        (["cascade", "edge_sdk/cli/__init__.py", "edge_sdk/cli/__init__.py"], "scipy"),
        (["keys", "make", "--server", "vm"], "cryptography"),
    ],
)
def test_a_missing_extra_is_one_line(arguments: list[str], missing: str) -> None:
    done = without_extras(f"sys.exit(run(cli, 'edge-sdk', {arguments!r}))")
    assert done.returncode == 2
    extra = "keys" if missing == "cryptography" else "workbench"
    assert done.stderr == (
        f"edge-sdk: this needs the package {missing}, which this Python lacks: install the extra {extra}, "
        f"pip install '.[{extra}]' in the checkout\n"
    )


def test_every_command_and_option_is_described() -> None:
    def commands(group: click.Group) -> list[click.Command]:
        inner = [one for one in group.commands.values() if isinstance(one, click.Group)]
        return [*group.commands.values(), *(two for one in inner for two in commands(one))]

    assert sorted(cli.commands) == sorted(NAMES)
    for command in commands(cli):
        assert command.help, command.name
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.hidden or (parameter.help or "").strip(), f"{command.name} {parameter.name}"


def test_one_word_for_one_thing() -> None:
    options = {
        (command.name, name)
        for command in cli.commands.values()
        for parameter in command.params
        if not getattr(parameter, "hidden", False)
        for name in parameter.opts
    }
    for old in ("--images", "--task", "--fp32", "--half", "--float", "--as-uploaded", "--max-side", "--frames"):
        assert not {command for command, name in options if name == old}
    pictures = {"photos", "train", "export", "calibrate", "ladder", "records", "companion", "sequence", "specialize"}
    assert {command for command, name in options if name == "--data"} == pictures


def test_an_unknown_command_or_option_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(cli, "edge-sdk", ["clasify"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("edge-sdk: No such command 'clasify'") and said.count("\n") == 1
    assert run(cli, "edge-sdk", ["info", "--quux"]) == 2
    assert capsys.readouterr().err == "edge-sdk: No such option '--quux' (see edge-sdk info --help)\n"


def test_without_a_command_there_is_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(cli, "edge-sdk", []) == 2
    assert "Workbench commands:" in capsys.readouterr().err


def test_the_module_is_the_command(tmp_path: Path) -> None:
    command = [sys.executable, "-P", "-m", "edge_sdk", "info", str(tmp_path / "no [/b] bundle")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("edge-sdk: ") and "no [/b] bundle" in done.stderr
    assert done.stderr.count("\n") == 1
