"""The big model that a bundle was calibrated with, as its policy names it; and where labels of two models differ."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Sequence
from pathlib import Path

import msgspec

LABEL_MAP_CURE = (
    'A JSON file {"label of the big model": "label of the bundle", "*": "all others"} leads from one to the other: '
    "--label-map FILE"
)
_SHOWN, _COMPARED = 8, 2000  # labels


class BigReference(msgspec.Struct, frozen=True, kw_only=True):
    """A big model by name.

    Attributes:
        name: for people.
        model: what `cloud-server --model` takes to serve it: the name of one that ships, a timm name, or the path of
            its file on the machine that calibrated; "" where that is not known.
        fingerprint: of the file's content (`fingerprint_of`); "" for a timm name.
        labels: what it answers with, after the label map.
        label_map: from its own labels to those; empty where they are its own.
    """

    name: str
    model: str = ""
    fingerprint: str = ""
    labels: tuple[str, ...] = ()
    label_map: dict[str, str] = {}


def fingerprint_of(path: Path) -> str:
    """The first 16 hexadecimal digits of a file's SHA-256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def label_difference(asked: Sequence[str], answered: Sequence[str]) -> str:
    """Where two sets of labels differ, in words; "" where they are the same.

    Args:
        asked: the little model's.
        answered: the big model's.
    """
    ours, theirs = frozenset(asked), frozenset(answered)
    lacks = [label for label in asked if label not in theirs]
    others = [label for label in answered if label not in ours]
    parts = []
    if lacks:
        parts.append(f"it lacks {_names(lacks, others)}")
    if others:
        parts.append(f"it has {_names(others, ())} instead" if lacks else f"it also has {_names(others, ())}")
    return "; ".join(parts)


def _names(labels: Sequence[str], similar: Sequence[str]) -> str:
    texts = []
    for label in labels[:_SHOWN]:
        close = difflib.get_close_matches(label, similar[:_COMPARED], n=1, cutoff=0.6)
        texts.append(f"{label!r:.200}" + (f" (close: {close[0]!r})" if close else ""))
    more = len(labels) - _SHOWN
    return ", ".join(texts) + (f" and {more} more" if more > 0 else "")
