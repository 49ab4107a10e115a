"""Text on a terminal: what others named (files, labels, servers) is printed as it is, and cannot steer the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text


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


def open_console(*, stderr: bool = False) -> Console:
    """A console that prints text as it is: no markup, no emoji codes, no highlighting; colours on a terminal only."""
    return Console(stderr=stderr, markup=False, emoji=False, highlight=False)


def say(console: Console, text: object) -> None:
    """Print one line, however long: the terminal wraps it, so that a copied path is whole."""
    console.print(Text(literal(text)), soft_wrap=True)
