"""The commands that README, docs and scripts/make-models show exist, with the options they show."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from cloud_server.cli import main as cloud_server
from edge_sdk.cli import cli

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "scripts" / "make-models",
    *sorted((ROOT / "docs").rglob("*.md")),
]
SHELL = re.compile(r"^```sh\n(.*?)^```$|^((?:    [^\n]*\n)+)", re.DOTALL | re.MULTILINE)


def shown(page: Path) -> Iterator[list[str]]:
    """The words of each `edge-sdk` and `cloud-server` command in the page's shell blocks, one list a command."""
    text = page.read_text()
    for block in SHELL.findall(text) if page.suffix == ".md" else [(text,)]:
        for line in "".join(block).replace("\\\n", " ").splitlines():
            command = re.search(
                r"^\s*(?:ssh \S+ |\[ -f \S+ \] \|\| )?((?:edge-sdk|cloud-server)\s.*)", line.split(" #")[0]
            )
            if command:
                yield shlex.split(command[1])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_commands_shown_have_the_options_shown(page: Path) -> None:
    for program, *words in shown(page):
        command: click.Command = cli if program == "edge-sdk" else cloud_server
        while isinstance(command, click.Group) and words and not words[0].startswith("-"):
            name = words.pop(0)
            found = command.get_command(click.Context(command), name)
            assert found is not None, f"{page.name}: {program} has no command {name}"
            command = found
        if "--" in words:  # what follows is another command's: those of `cloud-server install-service` are the server's
            words, rest = words[: words.index("--")], words[words.index("--") + 1 :]
            assert {word for word in rest if word.startswith("--")} <= set(options(cloud_server))
        known = {"--help", *(option for parameter in command.params for option in parameter.opts)}
        for word in words:
            if word.startswith("--"):
                assert word.split("=")[0] in known, f"{page.name}: {program} {command.name} has no {word}"


def options(command: click.Command) -> Iterator[str]:
    """Every option of a command and of its sub-commands."""
    for parameter in command.params:
        yield from (option for option in parameter.opts if option.startswith("--"))
    if isinstance(command, click.Group):
        for name in command.list_commands(click.Context(command)):
            found = command.get_command(click.Context(command), name)
            if found is not None:
                yield from options(found)


def test_the_options_that_the_text_names_are_there() -> None:
    example = (ROOT / "examples" / "camera_loop.py").read_text()
    known = {*options(cli), *options(cloud_server), *re.findall(r'"(--[\w-]+)"', example), "--help"}
    known |= {"--system-site-packages"}  # of python -m venv
    for page in PAGES:
        for text in re.findall(r"`((?:--|edge-sdk |cloud-server )[^`\n]*)`", page.read_text()):
            for option in re.findall(r"(?<!\S)(--[a-z][\w-]*)", text):
                assert option in known, f"{page.name}: `{text}`"
