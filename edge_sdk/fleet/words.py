"""Words (labels, models, sources, versions) as numbers of a list that grows at its end; 0 stands for none.

A device has one list. A word that the server knows is not sent again.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence

from edge_sdk.fleet.columns import MalformedReport
from edge_sdk.terminal.line import one_line

MOST_WORDS = 4_096
"""Words of one list; after that a fresh one is begun."""
LONGEST_WORD = 200
"""Letters of a word; what is longer is cut."""


class WordList:
    """A device's list. Not thread-safe.

    Args:
        number: names the list, 32 bits; 0: a fresh one.
        words: so far.
        known: how many of them the server knows.
    """

    def __init__(self, number: int = 0, words: Iterable[str] = (), known: int = 0) -> None:
        self.number = number or 1 + secrets.randbelow((1 << 32) - 1)
        self.words = list(words)
        self._places = {word: place for place, word in enumerate(self.words)}
        self._known = max(0, min(known, len(self.words)))

    @property
    def known(self) -> int:
        """How many words the server knows."""
        return self._known

    @property
    def news(self) -> Sequence[str]:
        """The words that it does not know."""
        return self.words[self._known :]

    @property
    def is_full(self) -> bool:
        """Whether it is time for a fresh list."""
        return len(self.words) >= MOST_WORDS

    def number_of(self, word: str | None) -> int:
        """The word's number; a new word is put to the end."""
        if not word:
            return 0
        line = one_line(word, LONGEST_WORD)
        place = self._places.setdefault(line, len(self.words))
        if place == len(self.words):
            self.words.append(line)
        return place + 1

    def server_knows(self, count: int) -> None:
        """The server has said how many it knows."""
        self._known = max(0, min(count, len(self.words)))


def word_of(words: Sequence[str], number: int) -> str:
    """The word with this number; "" for 0.

    Raises:
        MalformedReport: there is none.
    """
    if number > len(words):
        raise MalformedReport(f"expected numbers of at most {len(words)} words; got {number}")
    return words[number - 1] if number else ""
