"""Every key that the config file may have: its type, its default, and what it means, from the settings' dataclasses."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, fields
from difflib import get_close_matches
from functools import cache
from inspect import cleandoc
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from edge_sdk.alerts.rule import AlertRule
from edge_sdk.device_config.sections import SECTIONS
from edge_sdk.errors import ConfigError

REQUIRED = MISSING
"""The default of a key that its section cannot do without."""

_TOML = {"None": '"none"', "True": "true", "False": "false"}
_PYTHON = re.compile(rf"\b({'|'.join(_TOML)})\b")
_PLAIN = (str, int, float, bool, NoneType)
_WORDS: Mapping[object, str] = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    tuple: "a list of texts",
    dict: "a table of numbers",
}


@dataclass(frozen=True, slots=True)
class Key:
    """One key of the file.

    Attributes:
        section: the table that it stands in.
        name: its name there.
        home: the dataclass that has it.
        kind: its type, as msgspec takes it.
        default: what holds where it is not given; `REQUIRED`: its section cannot do without.
        meaning: one or more sentences.
        is_path: it names a file or folder.
    """

    section: str
    name: str
    home: type
    kind: Any
    default: Any
    meaning: str
    is_path: bool

    @property
    def full(self) -> str:
        """section.name"""
        return f"{self.section}.{self.name}"

    @property
    def may_be_none(self) -> bool:
        """Whether "none" says that there is no such thing."""
        return NoneType in get_args(self.kind)

    def read(self, value: object) -> Any:
        """The value as the dataclass takes it; "none" where that may be is None.

        Raises:
            ConfigError: it is of another type; the message does not repeat it.
        """
        if value == "none" and self.may_be_none:
            return None
        if self.kind is AlertRule:  # the items are read one by one
            return value
        try:
            return msgspec.convert(value, self.kind)
        except msgspec.ValidationError:
            raise ConfigError(f"expected {self.words}") from None

    @property
    def words(self) -> str:
        """What is expected, in words."""
        return _words(self.kind)


@cache
def all_keys() -> Mapping[tuple[str, str], Key]:
    """All keys by section and name, in the order of the sections."""
    return {(key.section, key.name): key for key in _keys()}


def keys_of(home: type, section: str, *, hidden: frozenset[str] = frozenset(), paths: frozenset[str]) -> Iterator[Key]:
    """The keys that the fields of a dataclass make."""
    hints, meanings = get_type_hints(home), _meanings(home)
    for one in fields(home):
        if one.name in hidden:
            continue
        default = one.default if one.default_factory is MISSING else one.default_factory()
        kind = AlertRule if one.name == "rules" else _kind(hints[one.name])
        yield Key(section, one.name, home, kind, default, meanings.get(one.name, ""), one.name in paths)


def nearest(name: str, known: Iterator[str] | list[str]) -> str:
    """The known name that was probably meant; "" where none is near."""
    found = get_close_matches(name, list(known), 1, 0.6)
    return found[0] if found else ""


def _keys() -> Iterator[Key]:
    for section in SECTIONS:
        for part in section.parts:
            yield from keys_of(part, section.name, hidden=section.hidden, paths=section.paths)


def _kind(hint: Any) -> Any:
    """A field's type as far as a file can say it: of a union, the members that are plain."""
    if hint is Path:
        return str
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        kinds = [kind for one in get_args(hint) if (kind := _kind(one)) is not None]
        return Union[tuple(dict.fromkeys(kinds))]  # noqa: UP007 - of a list
    if origin is tuple:
        return tuple[str, ...]
    if origin is not None and isinstance(origin, type) and issubclass(origin, Mapping):
        return dict[str, float]
    if origin is Literal:
        return hint
    return hint if hint in _PLAIN else str if isinstance(hint, type) and issubclass(hint, str) else None


def _words(kind: Any) -> str:
    origin = get_origin(kind)
    if origin in (Union, UnionType):
        several = [_words(one) if one is not NoneType else '"none"' for one in get_args(kind)]
        return " or ".join(several)
    if origin is Literal:
        return " or ".join(f'"{one}"' for one in get_args(kind))
    if kind is AlertRule:
        return "tables [[alerts.rules]]"
    return _WORDS[origin or kind]


@cache
def _meanings(home: type) -> Mapping[str, str]:
    """What the docstring's section Attributes says of each field, on one line, with values as the file writes them."""
    found: dict[str, str] = {}
    text = cleandoc(home.__doc__ or "")
    match = re.search(r"^Attributes:\n(.*?)(?=^\S|\Z)", text, re.DOTALL | re.MULTILINE)
    for entry in re.split(r"\n(?= {4}\w)", match[1].rstrip()) if match else ():
        name, colon, meaning = entry.strip().partition(":")
        if colon:
            found[name.strip()] = _PYTHON.sub(lambda one: _TOML[one[0]], " ".join(meaning.split()))
    return found
