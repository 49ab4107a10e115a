"""Labels that say that nothing is there."""

from __future__ import annotations

_WORDS = frozenset(
    ["background", "blank", "empty", "false trigger", "misfire", "no animal", "no animals", "none", "nothing"]
)


def plain_words(label: str) -> str:
    """A label in small letters, its words apart by one space."""
    return " ".join(label.lower().replace("_", " ").replace("-", " ").split())


def says_nothing(label: str) -> bool:
    """Whether a label is a word for nothing there, such as "empty" or "no_animal"."""
    return plain_words(label) in _WORDS
