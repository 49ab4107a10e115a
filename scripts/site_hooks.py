"""What the site makes of its pages beyond Markdown. Named in mkdocs.yml; runs inside `mkdocs build`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape
from importlib import import_module
from inspect import cleandoc
from itertools import chain
from typing import Any

import click

# A line of a page: <!-- commands MODULE:ATTRIBUTE NAME [SUBCOMMAND ...] -->
_MARK = re.compile(r"^<!-- commands ([\w.]+):(\w+) ([\w-]+(?: [\w-]+)*) -->$", re.MULTILINE)


# A line of a page that becomes the table of the config file's keys.
_KEYS = "<!-- config keys -->"

# A link to a file beside docs/, such as an example: it works in the repository, the site has no such page.
_OUTSIDE = re.compile(r"\[([^\]]+)\]\((?:\.\./)+(?:examples|benchmarks|tests|scripts|protos)/[^)]*\)")

# A block of code that no test runs (tests/docs/test_blocks.py): the word after the language is no part of the page.
_NOT_RUN = re.compile(r"^( *```python) notest$", re.MULTILINE)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put the help of a command where a page asks for it; leave the text alone of links that lead out of the docs."""

    def help_of(match: re.Match[str]) -> str:
        module, attribute, names = match.groups()
        name, *deeper = names.split()
        command = getattr(import_module(module), attribute)
        context = click.Context(command, info_name=name)
        for name in deeper:
            command = command.get_command(context, name)
            context = click.Context(command, info_name=name, parent=context)
        sections = _sections(command, context, level=2)
        if deeper and not isinstance(command, click.Group):
            next(sections)  # the page has this title
            sections = chain(["## Usage\n"], sections)
        return "\n".join(sections)

    if _KEYS in markdown:
        markdown = markdown.replace(_KEYS, "\n".join(_config_keys()))
    markdown = _NOT_RUN.sub(r"\1", markdown)
    return _OUTSIDE.sub(r"\1", _MARK.sub(help_of, markdown))


def _config_keys() -> Iterator[str]:
    """A section for each table of the config file, with a row for each key."""
    from edge_sdk.alerts.rule import AlertRule
    from edge_sdk.device_config.keys import REQUIRED, all_keys, keys_of
    from edge_sdk.device_config.sections import SECTIONS
    from edge_sdk.device_config.show import toml

    tables = {one.name: [key for key in all_keys().values() if key.section == one.name] for one in SECTIONS}
    tables["alerts.rules"] = list(keys_of(AlertRule, "alerts.rules", paths=frozenset()))
    optional = {one.name for one in SECTIONS if one.optional}
    for name, keys in tables.items():
        several = name == "alerts.rules"
        yield f"## {f'[[{name}]]' if several else f'[{name}]'}\n"
        if name in optional:
            yield "Without this table there is no such thing.\n"
        yield "| key | value | default | meaning |\n|---|---|---|---|"
        for key in keys:
            default = "" if key.default is REQUIRED or key.name == "rules" else f"`{toml(key.default)}`"
            meaning = escape(key.meaning, quote=False).replace("|", "\\|")
            yield f"| `{key.name}` | {escape(key.words, quote=False)} | {default} | {meaning} |"
        yield ""


def _sections(command: click.Command, context: click.Context, level: int) -> Iterator[str]:
    """One section a command: its text, its usage, its options with their defaults, as `--help` has them."""
    yield f"{'#' * level} {context.command_path}\n"
    yield f"{_plain(command.help or command.short_help or '')}\n"
    if not isinstance(command, click.Group) or command.invoke_without_command:
        yield from _options(command, context)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            if found is not None and not found.hidden:
                yield from _sections(found, click.Context(found, info_name=name, parent=context), level + 1)


def _options(command: click.Command, context: click.Context) -> Iterator[str]:
    """Usage and options of a command that does something itself."""
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    yield f"```sh\n{usage}\n```\n"
    rows = [record for parameter in command.get_params(context) if (record := parameter.get_help_record(context))]
    rows = [(names, text) for names, text in rows if text and "--help" not in names]
    if rows:
        cells = (f"<tr><td><code>{escape(names)}</code></td><td>{_marked(text)}</td></tr>" for names, text in rows)
        yield f'<table class="options"><tbody>{"".join(cells)}</tbody></table>\n'


def _plain(text: str) -> str:
    """A command's help as Markdown: click's backspace marks go, what Markdown would read as HTML is escaped."""
    return escape(re.sub(r"^\x08\n", "", cleandoc(text), flags=re.MULTILINE), quote=False)


def _marked(text: str) -> str:
    """An option's help as HTML: what stands between backticks is code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))
