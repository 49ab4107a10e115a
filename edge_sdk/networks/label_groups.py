"""The thousand classes of ImageNet in a dozen groups that people ask for: label maps that come with the package.

`label_groups.json` gives each group its classes by number, each class in exactly one. ImageNet has no deer (antelopes
are among the hoofed animals), and of people three scenes alone (ballplayer, groom, scuba diver): it knows no person.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import msgspec

from edge_sdk.errors import ConfigError
from edge_sdk.networks.labels import imagenet_labels

GROUPS = ("animals", "coarse")
_FILE = Path(__file__).with_name("label_groups.json")


def label_group(name: str) -> dict[str, str]:
    """A label map from ImageNet's classes to groups.

    Args:
        name: "animals" (fourteen kinds, and "no animal") or "coarse" (animals, vehicles, food, plants, places, others).

    Raises:
        ConfigError: there is none of this name.
    """
    groups = _read()
    if name not in groups:
        raise ConfigError(f"expected a group of labels of {', '.join(GROUPS)}; got {name!r}")
    of_class = {number: group for group, numbers in groups[name].items() for number in _numbers(numbers)}
    return {label: of_class[number] for number, label in enumerate(imagenet_labels())}


def group_names(name: str) -> tuple[str, ...]:
    """The groups that a label map leads to, in its order."""
    return tuple(_read()[name])


def _numbers(text: str) -> Iterator[int]:
    """Numbers and ranges of them, such as "7-24 80"."""
    for part in text.split():
        first, _, last = part.partition("-")
        yield from range(int(first), int(last or first) + 1)


@cache
def _read() -> dict[str, dict[str, str]]:
    return msgspec.json.decode(_FILE.read_bytes(), type=dict[str, dict[str, str]])
