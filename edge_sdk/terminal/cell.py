"""Text of others as a cell of a table that a spreadsheet may open."""

from __future__ import annotations

import re

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?", re.ASCII)


def guarded(text: str) -> str:
    """Text of others as a cell: where a spreadsheet would run it as a formula, an apostrophe stands before it."""
    return f"'{text}" if text.startswith(_FORMULA) and not _NUMBER.fullmatch(text) else text
