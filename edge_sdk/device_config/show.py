"""The settings that hold, as a config file with a note beside each of where it came from."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from edge_sdk.alerts.rule import AlertRule
from edge_sdk.device_config.keys import Key, all_keys
from edge_sdk.device_config.reading import Reading
from edge_sdk.device_config.secrets import public
from edge_sdk.device_config.sections import SECTIONS


def shown_config(reading: Reading, *, defaults: bool = True) -> Iterator[str]:
    """The lines of a TOML file that says the same.

    Args:
        reading: a file without faults.
        defaults: with the keys that nobody gave.
    """
    for section in SECTIONS:
        there = not section.optional or section.name in reading.present
        keys = [key for key in all_keys().values() if key.section == section.name and key.name != "rules"]
        lines = [line for key in keys if (line := _line(reading, key, there, defaults))]
        if lines:
            yield from ("", f"[{section.name}]", *lines)
        if (rules := reading.given.get((section.name, "rules"))) is not None:
            for rule in rules.value:
                yield from ("", f"[[{section.name}.rules]]  # {rules.where}")
                yield from _rule(rule)


def toml(value: Any) -> str:
    """A value as TOML writes it; None as "none"."""
    if value is None:
        return '"none"'
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{toml(name)} = {toml(one)}' for name, one in value.items())}}}"
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(toml, value))}]"
    return repr(value)


def _line(reading: Reading, key: Key, there: bool, defaults: bool) -> str:
    given = reading.given.get((key.section, key.name))
    if given is not None:
        return f"{key.name} = {toml(public(key.section, key.name, given.value))}  # {given.where}"
    if not defaults or (key.default is None and not key.may_be_none):
        return ""
    if not there:
        return ""
    return f"{key.name} = {toml(key.default)}  # default"


def _rule(rule: AlertRule) -> Iterator[str]:
    for one in fields(rule):
        value = getattr(rule, one.name)
        if value != one.default:
            yield f"{one.name} = {toml(value)}"
