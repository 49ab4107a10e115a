"""Text of others is data: one line, bounded, nothing that steers a terminal or a log."""

from __future__ import annotations

import pytest

from edge_sdk.terminal.line import MOST_LETTERS, literal, one_line


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Füchse 狐", "Füchse 狐"),
        ("two\nlines\r\x85\u2028\x0b", r"two\nlines\r\x85\u2028\x0b"),
        ("\x1b[2J\x9b31m\x07\x00", r"\x1b[2J\x9b31m\x07\x00"),
        ("\u202egpj.exe\u2066", r"\u202egpj.exe\u2066"),
        ("raw\udcff", r"raw\udcff"),
        (ConnectionError("no\nway"), r"no\nway"),
    ],
)
def test_what_does_not_print_is_shown_as_its_escape(text: object, shown: str) -> None:
    assert literal(text) == one_line(text) == shown
    assert len(shown.splitlines()) == 1


@pytest.mark.parametrize("text", ["a" * 900_000, "\x1b" * 900_000, "a" * (MOST_LETTERS + 1)])
def test_a_long_text_is_cut_and_says_so(text: str) -> None:
    assert len(one_line(text)) == MOST_LETTERS
    assert one_line(text).endswith("...")
    assert one_line("abcdefgh", 6) == "abc..."


def test_a_text_of_the_greatest_length_is_whole() -> None:
    assert one_line("a" * MOST_LETTERS) == "a" * MOST_LETTERS
