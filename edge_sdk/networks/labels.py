"""Class names: from a file that somebody wrote, and ImageNet's thousand."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from edge_sdk.errors import ConfigError
from edge_sdk.security.files import read_given_text

FORMS = 'one name a line, a JSON list, JSON {"0": "name"} or {"name": 0}, or a CSV table of index and name'


def read_labels(path: Path) -> tuple[str, ...]:
    """Class names in the order of a network's outputs.

    Args:
        path: text with one name a line, JSON (a list, `{"0": "name"}` or `{"name": 0}`), or CSV (names alone, or a
            column of indices and one of names, with or without a head).

    Raises:
        ConfigError: it is none of these, has fewer than two names, an empty one, the same twice, or gaps.
    """
    text = read_given_text(path, "labels file")
    start = text.lstrip()[:1]
    if start in ("[", "{"):
        names = _of_json(text, path)
    elif path.suffix.lower() in (".csv", ".tsv"):
        names = _of_csv(text, path)
    else:
        names = [line.strip() for line in text.splitlines()]
        while names and not names[-1]:
            names.pop()
    return checked_labels(names, path)


def checked_labels(names: Sequence[object], path: Path) -> tuple[str, ...]:
    """The names, where each is a text that stands once.

    Raises:
        ConfigError: see `read_labels`.
    """
    for number, name in enumerate(names):
        if not isinstance(name, str) or not name.strip():
            raise ConfigError(
                f"expected a name for each class in the labels file {path}; class {number} has {name!r:.80}"
            )
    counts = Counter(names)
    if twice := [name for name in counts if counts[name] > 1]:
        raise ConfigError(f"expected each class once in the labels file {path}; {twice[0]!r:.80} stands there twice")
    if len(names) < 2:
        raise ConfigError(f"expected two classes or more in the labels file {path} ({FORMS}); got {len(names)}")
    return tuple(str(name).strip() for name in names)


@cache
def imagenet_labels() -> tuple[str, ...]:
    """The thousand classes of ImageNet-1k by their first English name; two that share it carry their WordNet id too."""
    info = _imagenet()
    names = [info.index_to_description(index).split(",")[0].strip() for index in range(1000)]
    return tuple(
        f"{name} ({info.index_to_label_name(index)})" if names.count(name) > 1 else name
        for index, name in enumerate(names)  # "crane" is a bird and a machine
    )


@cache
def imagenet_wnids() -> tuple[str, ...]:
    """The WordNet ids of ImageNet-1k's classes, such as "n01440764"."""
    info = _imagenet()
    return tuple(info.index_to_label_name(index) for index in range(1000))


def _imagenet() -> Any:
    from edge_sdk.networks.timm_library import import_timm  # late: it loads torch

    import_timm()
    from timm.data.imagenet_info import ImageNetInfo

    return ImageNetInfo()


def _of_json(text: str, path: Path) -> list[object]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"expected JSON in the labels file {path}: {error}") from error
    if isinstance(content, list):
        return content
    if all(isinstance(value, int) and not isinstance(value, bool) for value in content.values()):
        return _by_number([(str(number), name) for name, number in content.items()], path)
    return _by_number([(number, name) for number, name in content.items()], path)


def _of_csv(text: str, path: Path) -> list[object]:
    delimiter = "\t" if path.suffix.lower() == ".tsv" else (";" if text.count(";") > text.count(",") else ",")
    rows = [[cell.strip() for cell in row] for row in csv.reader(text.splitlines(), delimiter=delimiter)]
    rows = [row for row in rows if any(row)]
    if rows and len(rows[0]) > 1 and not any(cell.isdigit() for cell in rows[0]):
        rows = rows[1:]  # a head
    if rows and len(rows[0]) == 1:
        named = rows[0][0].lower() in ("label", "labels", "name", "names", "class", "classes", "species")
        return [row[0] for row in rows[1 if named else 0 :]]
    column = 0 if rows and rows[0][0].isdigit() else 1
    if any(len(row) < 2 or not row[column].isdigit() for row in rows):
        raise ConfigError(f"expected a column of indices and one of names in the labels file {path}")
    return _by_number([(row[column], row[1 - column]) for row in rows], path)


def _by_number(pairs: list[tuple[str, object]], path: Path) -> list[object]:
    if not all(number.isdigit() for number, _ in pairs):
        raise ConfigError(f"expected {FORMS} in the labels file {path}; got the key {pairs[0][0]!r:.80}")
    numbered = {int(number): name for number, name in pairs}
    if len(numbered) != len(pairs) or sorted(numbered) != list(range(len(pairs))):
        raise ConfigError(
            f"expected the indices 0 to {len(pairs) - 1} once each in the labels file {path}; got "
            f"{', '.join(number for number, _ in pairs[:6])}{', ...' if len(pairs) > 6 else ''}"
        )
    return [numbered[number] for number in range(len(pairs))]
