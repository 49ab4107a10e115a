"""Lines of keys, against texts that are written together with the lines of their keys."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.terminal.toml_lines import key_lines

NAMES = st.text(alphabet="ab1_-.# \"'=[]é", min_size=1, max_size=4)
BLANKS = st.sampled_from(["", " ", "\t", "  "])
EMPTY = st.sampled_from(["", "\n", "# a = [1]\n", "   # [x]\n\n", "\t\n"])
WITHIN = st.sampled_from(["", " ", "\n", "\r\n", ' # ]}"\n', "\n\n"])
STRINGS = [
    '"a # b"',
    "'[x] = 1'",
    '"""\nk = 1\n[t]\n"""',
    "'''\nk = '1'\n'''",
    r'"\"=\\"',
    '""""quoted""""',
    "''''q'''''",
]
PLAIN = [
    *STRINGS,
    "1",
    "-2.5e3",
    "true",
    "2026-11-27T10:00:00Z",
    "2026-11-27 10:00:00",
    "inf",
    "0x_ff".replace("_", ""),
]
Lines = dict[tuple[str | int, ...], int]


def quoted(name: str, draw: Callable[..., Any]) -> str:
    """A key as TOML writes it, in one of its ways."""
    ways = [json.dumps(name, ensure_ascii=draw(st.booleans()))]
    if "'" not in name:
        ways.append(f"'{name}'")
    if name.isascii() and name.replace("_", "").replace("-", "").isalnum():
        ways.append(name)
    return str(draw(st.sampled_from(ways)))


class Writer:
    """A text, and the line of each thing in it."""

    def __init__(self, draw: Callable[..., Any]) -> None:
        self.draw, self.text, self.lines = draw, "", Lines()

    def put(self, text: str) -> None:
        self.text += text

    def mark(self, path: tuple[str | int, ...]) -> None:
        self.lines[path] = self.text.count("\n") + 1

    def value(self, path: tuple[str | int, ...], depth: int = 0) -> None:
        kind = self.draw(st.sampled_from(["plain", "plain", "array", "inline"])) if depth < 3 else "plain"
        if kind == "plain":
            self.put(self.draw(st.sampled_from(PLAIN)))
        elif kind == "array":
            self.put("[" + self.draw(WITHIN))
            count = self.draw(st.integers(0, 3))
            for number in range(count):
                self.mark((*path, number))
                self.value((*path, number), depth + 1)
                self.put(self.draw(WITHIN))
                if number < count - 1 or self.draw(st.booleans()):
                    self.put("," + self.draw(WITHIN))
            self.put("]")
        else:
            self.put("{ ")
            for number, name in enumerate(self.draw(st.lists(NAMES, max_size=2, unique=True))):
                self.put(", " if number else "")
                self.pair((*path, name), depth + 1)
            self.put(" }")

    def pair(self, path: tuple[str | int, ...], depth: int = 0) -> None:
        self.mark(path)
        name = quoted(str(path[-1]), self.draw)
        self.put(f"{name}{self.draw(BLANKS)}={self.draw(BLANKS)}")
        self.value(path, depth)

    def pairs(self, path: tuple[str | int, ...], taken: set[str]) -> None:
        for name in self.draw(st.lists(NAMES, max_size=3, unique=True)):
            if name not in taken:
                taken.add(name)
                self.put(self.draw(EMPTY) + self.draw(BLANKS))
                self.pair((*path, name))
                self.put(self.draw(st.sampled_from(["\n", " # note\n", "\r\n"])))


@st.composite
def texts(draw: Callable[..., Any]) -> tuple[str, Lines]:
    writer = Writer(draw)
    taken = set[str]()
    writer.pairs((), taken)
    for name in draw(st.lists(NAMES, max_size=3, unique=True)):
        if name in taken:
            continue
        taken.add(name)
        count = draw(st.integers(0, 2))  # 0: a table
        for number in range(max(count, 1)):
            writer.put(draw(EMPTY))
            if count == 0 or number == 0:
                writer.mark((name,))
            path: tuple[str | int, ...] = (name,) if count == 0 else (name, number)
            writer.mark(path)
            key = quoted(name, draw)
            writer.put(f"[[ {key} ]]\n" if count else f"[{key}] # table\n")
            inner = set[str]()
            writer.pairs(path, inner)
            below = draw(NAMES)
            if below not in inner and draw(st.booleans()):
                writer.mark((*path, below))
                writer.put(f"[{key} . {quoted(below, draw)}]\n")
                writer.pairs((*path, below), set())
    return writer.text, writer.lines


@given(texts())
def test_each_key_has_the_line_on_which_it_was_written(written: tuple[str, Lines]) -> None:
    text, lines = written
    tomllib.loads(text)  # a fault of this test's writer, if it raises
    assert key_lines(text) == lines


def test_dotted_keys_and_what_is_named_twice() -> None:
    text = "a.b.c = 1\na.b.d = 2\n\n[[x.y]]\nz = 1\n[[x.y]]\n[x.y.w]\nv = 1\n"
    assert key_lines(text) == {
        ("a",): 1,
        ("a", "b"): 1,
        ("a", "b", "c"): 1,
        ("a", "b", "d"): 2,
        ("x",): 4,
        ("x", "y"): 4,
        ("x", "y", 0): 4,
        ("x", "y", 0, "z"): 5,
        ("x", "y", 1): 6,
        ("x", "y", 1, "w"): 7,
        ("x", "y", 1, "w", "v"): 8,
    }


def test_this_project_s_own_files() -> None:
    for path in Path(__file__).resolve().parents[2].glob("*.toml"):
        text = path.read_text()
        lines = key_lines(text)

        def walk(value: Any, at: tuple[str | int, ...], lines: Lines = lines) -> None:
            if at:
                assert at in lines
            inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
            for name, one in inner:
                walk(one, (*at, name))

        walk(tomllib.loads(text), ())
