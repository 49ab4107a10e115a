"""The pages name what the code has: errors, codes, states, public names, commands."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import edge_sdk
from edge_sdk import errors
from edge_sdk.types import LinkState, Reason
from edge_sdk.wire import offload_pb2 as wire

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"
ERRORS = (DOCS / "errors.md").read_text()
REFERENCE = {path: path.read_text() for path in (DOCS / "reference").glob("*.md")}


def test_every_error_class_has_its_line() -> None:
    classes = [name for name, value in vars(errors).items() if isinstance(value, type)]
    assert classes
    for name in classes:
        assert f"\n| `{name}`" in ERRORS, name


def test_every_failure_code_has_its_line() -> None:
    for code, _ in wire.Failure.Code.items():
        assert f"\n| `{code}` |" in ERRORS, code


def test_every_reason_and_state_has_its_line() -> None:
    for value in (*Reason, *LinkState):
        assert f"\n| {value} | `{value.name}` |" in ERRORS, value


def test_every_public_name_is_in_the_reference() -> None:
    text = "\n".join(REFERENCE.values())
    for name in edge_sdk.__all__:
        assert f"\n::: edge_sdk.{name}\n" in text, name


def test_the_reference_names_what_is_there() -> None:
    for page, text in REFERENCE.items():
        for target, members in re.findall(
            r"^::: ([\w.]+)(?:\n +options:\n +members: \[([^\]]*)\])?", text, re.MULTILINE
        ):
            parent, _, name = target.rpartition(".")
            try:
                found = import_module(target)
            except ModuleNotFoundError:
                found = getattr(import_module(parent), name)
            for member in filter(None, members.split(", ")):
                assert hasattr(found, member), f"{page.name}: {target}.{member}"


def test_every_page_is_in_the_navigation() -> None:
    navigation = (DOCS.parent / "mkdocs.yml").read_text()
    for page in DOCS.rglob("*.md"):
        assert f": {page.relative_to(DOCS).as_posix()}\n" in navigation, page


def test_the_files_that_pages_name_are_there() -> None:
    root = DOCS.parent
    for page in (root / "README.md", root / "CONTRIBUTING.md", *DOCS.rglob("*.md")):
        text = page.read_text()
        for path in re.findall(r"`((?:edge_sdk|cloud_server|tests|docs|benchmarks|examples|protos)/[\w/.-]*)`", text):
            assert (root / path).exists(), f"{page.name}: {path}"
        if page.name == "architecture.md":
            for path in re.findall(r"`([a-z]+/[\w/]+\.py)`", text):
                places = (root, root / "edge_sdk", root / "cloud_server")
                assert any((place / path).exists() for place in places), f"{page.name}: {path}"


def test_every_command_has_its_page_and_its_line() -> None:
    from edge_sdk.cli import cli

    index = (DOCS / "reference" / "cli.md").read_text()
    for name, command in cli.commands.items():
        if command.hidden:
            continue
        text = (DOCS / "reference" / "commands" / f"{name}.md").read_text()
        assert f"\n<!-- commands edge_sdk.cli:cli edge-sdk {name} -->\n" in text, name
        assert "```sh\n" in text and "See also:" in text, name
        assert f"(commands/{name}.md)" in index, name
