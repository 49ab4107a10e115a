"""Text on a terminal: what others named (files, labels, servers) is printed as it is, and cannot steer the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from edge_sdk.terminal.line import literal

__all__ = ["literal", "open_console", "say"]


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Leave a reader that went away to the command, whose exit code then is 141 and not that of a fault."""
        raise BrokenPipeError


def open_console(*, stderr: bool = False) -> Console:
    """A console that prints text as it is: no markup, no emoji codes, no highlighting; colours on a terminal only."""
    return _Console(stderr=stderr, markup=False, emoji=False, highlight=False)


def say(console: Console, text: object) -> None:
    """Print one line, however long: the terminal wraps it, so that a copied path is whole."""
    console.print(Text(literal(text)), soft_wrap=True)
