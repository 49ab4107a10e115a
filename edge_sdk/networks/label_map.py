"""From the big model's fine classes to the words that devices use.

A label map is a JSON object, `{"red fox": "fox", "grey fox": "fox", "*": "other"}`: the probabilities of fine classes
are summed into their coarse one. A class that is not named keeps its own name, or takes that of `"*"` where there is
one.
"""

from __future__ import annotations

import difflib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_sdk.errors import ConfigError
from edge_sdk.security.files import read_given_text

REST = "*"
_SUGGEST_AMONG = 2_000
"""Labels up to which close names are looked for: comparing with each of 20,000 takes seconds."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelMap:
    """Which coarse class each fine class belongs to.

    Attributes:
        labels: the C coarse names: those of the file in its order, then the fine ones that keep their name.
        index: `intp (F,)`, for each fine class the index of its coarse one.
        keeps_all: whether each class stays as it is.
    """

    labels: tuple[str, ...]
    index: NDArray[np.intp]
    keeps_all: bool = field(init=False)

    def __post_init__(self) -> None:
        each = np.arange(len(self.labels))
        object.__setattr__(self, "keeps_all", np.array_equal(self.index, each))

    def apply(self, probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
        """Sum `float32 (F,)` probabilities of fine classes into `float32 (C,)` of coarse ones."""
        if self.keeps_all:
            return np.asarray(probabilities, np.float32)
        return np.bincount(self.index, weights=probabilities, minlength=len(self.labels)).astype(np.float32)


def make_label_map(fine: Sequence[str], mapping: dict[str, str]) -> LabelMap:
    """Build the map from `fine` labels by `mapping`; an empty one keeps each label as it is.

    Raises:
        ConfigError: `mapping` names a class that the model does not have.
    """
    known = frozenset(fine)
    unknown = [name for name in mapping if name != REST and name not in known]
    if unknown:
        raise ConfigError(f"expected labels of the model in the label map; it has no {_close_names(unknown, fine)}")
    coarse_of = [mapping.get(name, mapping.get(REST, name)) for name in fine]
    used = set(coarse_of)
    labels = tuple(dict.fromkeys([*(name for name in mapping.values() if name in used), *coarse_of]))
    position = {name: index for index, name in enumerate(labels)}
    return LabelMap(labels, np.array([position[name] for name in coarse_of], dtype=np.intp))


def read_label_map(path: Path, fine: Sequence[str]) -> LabelMap:
    """Read the JSON file `path` and build the map from the model's `fine` labels.

    Raises:
        ConfigError: no such file, not a JSON object of texts, a class named twice, or one that the model does not have.
    """
    mapping = read_mapping(path)
    try:
        return make_label_map(fine, mapping)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def read_mapping(path: Path) -> dict[str, str]:
    """The JSON object in the file `path`: coarse labels by fine ones.

    Raises:
        ConfigError: no such file, not a JSON object of texts, or a class named twice.
    """
    text = read_given_text(path, "label map")
    try:
        mapping = json.loads(text, object_pairs_hook=_refuse_repeats)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"expected a JSON object in the label map {path}: {error}") from error
    if not isinstance(mapping, dict) or not mapping:
        raise ConfigError(
            f'expected {{"fine label": "coarse label", ...}} in the label map {path}; got {mapping!r:.80}'
        )
    for name, coarse in mapping.items():
        if not isinstance(coarse, str) or not coarse:
            raise ConfigError(
                f"expected a coarse label (text) for {name!r:.200} in the label map {path}; got {coarse!r:.80}"
            )
    return mapping


def _refuse_repeats(pairs: list[tuple[str, object]]) -> dict[str, object]:
    result = dict(pairs)
    if len(result) != len(pairs):
        counts = Counter(name for name, _ in pairs)
        raise ValueError(f"{next(name for name in counts if counts[name] > 1)!r:.200} is named twice")
    return result


def _close_names(unknown: Sequence[str], fine: Sequence[str]) -> str:
    parts = []
    for name in unknown[:5]:
        close = difflib.get_close_matches(name, fine, n=3) if len(fine) <= _SUGGEST_AMONG else []
        parts.append(f"{name!r:.200}" + (f" (close: {', '.join(close)})" if close else ""))
    return ", ".join(parts) + (f" and {len(unknown) - 5} more" if len(unknown) > 5 else "")
