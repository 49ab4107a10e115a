"""Text of others (a server, a device, a file) as data: one line, bounded, nothing that steers a terminal or a log."""

from __future__ import annotations

MOST_LETTERS = 300
"""Longest text of the other side that is kept or shown, unless the caller says another length."""


def literal(text: object) -> str:
    r"""The text on one line, with every character that does not print as its escape: `\x1b`, `\n`, `\udcff`.

    Colour codes in a file's name, line breaks in a message and bytes that are no text come out as letters.
    """
    whole = str(text)
    if whole.isprintable():
        return whole
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape", "surrogatepass").decode() for one in whole
    )


def one_line(text: object, most: int = MOST_LETTERS) -> str:
    """As `literal`, and at most `most` letters: the end of a longer text is left out, which "..." says.

    Args:
        text: what the other side sent.
        most: greatest length of the result; at least 4.
    """
    whole = str(text)
    line = literal(whole[: most + 1])
    return line if len(line) <= most else f"{line[: most - 3]}..."
