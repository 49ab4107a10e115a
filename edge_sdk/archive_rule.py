"""Which pictures the archive keeps, for how long and in how much room: a value, and its text."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any, Self

from edge_sdk.errors import ConfigError

EXAMPLE = "1GB, 90 days, exits: one per event, never: person"
_NEVER_ABOVE = 0.2


class Exits(StrEnum):
    """Which pictures of frames that exit are kept."""

    NONE = "none"
    ALL = "all"
    EVENT = "event"
    """One an event: of the frame that looks least empty. A frame that belongs to no event is not kept."""


@dataclass(frozen=True, slots=True)
class ArchiveRule:
    """Which pictures are kept after their last word.

    Its text is a list such as `EXAMPLE`; `str(rule)` writes it and `ArchiveRule.parse` reads it:

        1GB                     most bytes: B, kB, MB, GB, TB
        90 days                 longest time: seconds, minutes, hours, days; "any age"; 30 days where nothing is said
        exits: one per event    or all, none
        exits of fox: all       another choice for one class
        offloads: no            none of frames that went to the cloud
        audits: no              none of audits
        never: person           a class that is never stored; may be repeated
        never above: 0.3        its probability from which a frame counts as one
        crop: yes               the close-up of what moved beside the frame

    A class whose name has a comma, colon or quote, or spaces at an end, stands in double quotes, as in JSON.

    Attributes:
        max_bytes: most bytes of pictures. The least interesting and oldest go first.
        max_age_s: seconds for which a picture is kept; None: no limit.
        exits: pictures of frames that exit.
        classes: the same by the little model's likeliest class, in place of `exits`.
        offloads: pictures of frames that went to the cloud.
        audits: pictures of confident frames that were sent to measure accuracy.
        never_store: classes whose frames are on no disk: they are not archived, and an unsure one exits
            (`Reason.PRIVATE`), since it would wait in the spool. A picture that was sent is not kept where the cloud
            says such a class.
        never_above: a frame counts as one of these when their probabilities sum to this or more, in (0, 1].
        crop: keep, beside the frame, the close-up of its region from the camera's full picture.

    Raises:
        ConfigError: a value cannot be used.
    """

    max_bytes: int = 1_000_000_000
    max_age_s: float | None = 30 * 86_400.0
    exits: Exits | str = Exits.ALL
    classes: Mapping[str, Exits | str] = field(default_factory=dict)
    offloads: bool = True
    audits: bool = True
    never_store: tuple[str, ...] = ()
    never_above: float = _NEVER_ABOVE
    crop: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.max_bytes, bool) or not isinstance(self.max_bytes, int) or self.max_bytes <= 0:
            raise ConfigError(f"expected ArchiveRule.max_bytes as a whole number above 0; got {self.max_bytes!r}")
        if self.max_age_s is not None and not _in_range(self.max_age_s, math.inf):
            raise ConfigError(f"expected ArchiveRule.max_age_s as seconds above 0, or None; got {self.max_age_s!r}")
        if not _in_range(self.never_above, 1.0):
            raise ConfigError(f"expected ArchiveRule.never_above in (0, 1]; got {self.never_above!r}")
        for name in ("offloads", "audits", "crop"):
            if not isinstance(getattr(self, name), bool):
                raise ConfigError(f"expected ArchiveRule.{name} as True or False; got {getattr(self, name)!r}")
        for label, exits in (("", self.exits), *self.classes.items()):
            if exits not in tuple(Exits):
                which = f"ArchiveRule.classes[{label!r}]" if label else "ArchiveRule.exits"
                raise ConfigError(f"expected {which} as one of {', '.join(Exits)}; got {exits!r}")
        if isinstance(self.never_store, str) or not all(isinstance(one, str) and one for one in self.never_store):
            raise ConfigError(f"expected ArchiveRule.never_store as names of classes; got {self.never_store!r}")
        if not all(isinstance(one, str) and one for one in self.classes):
            raise ConfigError(f"expected ArchiveRule.classes by names of classes; got {list(self.classes)}")

    @classmethod
    def parse(cls, text: str) -> Self:
        """The rule that a text says.

        Raises:
            ConfigError: a part is not understood, is there twice, or the size is missing.
        """
        values: dict[str, Any] = {}
        never: list[str] = []
        classes: dict[str, Exits] = {}
        for part in _parts(text):
            name, key, value = _read(part, text)
            if name == "never_store":
                never.append(key)
                continue
            known: dict[str, Any] = classes if name == "classes" else values
            if (key or name) in known:
                raise ConfigError(f"expected each part of an archive rule once; got {part!r} once more in {text!r}")
            known[key or name] = value
        if "max_bytes" not in values:
            raise ConfigError(f'expected the size in an archive rule, as in "{EXAMPLE}"; got {text!r}')
        return cls(**values, never_store=tuple(dict.fromkeys(never)), classes=classes)

    def __str__(self) -> str:
        """The text that `parse` reads."""
        return ", ".join(self._texts())

    def _texts(self) -> Iterator[str]:
        yield _number_text(self.max_bytes)
        yield "any age" if self.max_age_s is None else _age_text(float(self.max_age_s))
        yield f"exits: {_EXITS[Exits(self.exits)]}"
        yield from (f"exits of {_quoted(label)}: {_EXITS[Exits(one)]}" for label, one in self.classes.items())
        yield from (f"{name}: no" for name in ("offloads", "audits") if not getattr(self, name))
        yield from (f"never: {_quoted(label)}" for label in self.never_store)
        if self.never_above != _NEVER_ABOVE:
            yield f"never above: {self.never_above!r}"
        if self.crop:
            yield "crop: yes"

    def check(self, labels: Sequence[str]) -> None:
        """Refuse classes that the bundle does not have: a misspelt one would be stored.

        Raises:
            ConfigError: there are such.
        """
        if unknown := sorted({*self.never_store, *self.classes}.difference(labels)):
            raise ConfigError(
                f"expected classes of the bundle ({', '.join(labels)}) in the archive rule; got {', '.join(unknown)}"
            )

    def exits_of(self, label: str | None) -> Exits:
        """Which pictures of frames that exit with this class are kept."""
        return Exits(self.exits if label is None else self.classes.get(label, self.exits))

    def is_never_stored(self, chances: Mapping[str, float]) -> bool:
        """Whether these probabilities by class say that the frame may be on no disk."""
        names = dict.fromkeys(self.never_store)
        return bool(names) and sum(chances.get(label, 0.0) for label in names) >= self.never_above


_BYTES = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}
_EXITS = {Exits.NONE: "none", Exits.ALL: "all", Exits.EVENT: "one per event"}
_EXITS_SAID = {**{text: exits for exits, text in _EXITS.items()}, "event": Exits.EVENT}
_FLAGS = {"yes": True, "no": False}
_QUOTED = r'"(?:[^"\\]|\\.)*"'
_PART = re.compile(rf'((?:{_QUOTED}|[^",])*)(,|\Z)', re.DOTALL)
_SIZE = re.compile(rf"(\d+(?:\.\d+)?) ?({'|'.join(_BYTES)})", re.ASCII)
_AGE = re.compile(rf"(\d+(?:\.\d+)?(?:e[+-]?\d+)?) ?({'|'.join(_SECONDS)})s?", re.ASCII)
_SAID = re.compile(rf'(exits of|never above|[a-z]+)(?: ({_QUOTED}|[^":]+?))? ?: ?(.+)', re.DOTALL)
_NUMBER = re.compile(r"\d+(?:\.\d+)?(?:e-?\d+)?", re.ASCII)
_BARE = re.compile(r'[^\s",:](?:[^",:]*[^\s",:])?')


def _in_range(value: object, most: float) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return number and 0 < value <= most  # type: ignore[operator]


def _parts(text: str) -> Iterator[str]:
    """The parts between commas that stand outside quotes."""
    if not isinstance(text, str):
        raise ConfigError(f'expected an archive rule such as "{EXAMPLE}"; got {text!r}')
    position = 0
    while (match := _PART.match(text, position)) is not None:
        yield match[1].strip()
        if not match[2]:
            return
        position = match.end()
    raise ConfigError(f"expected an archive rule whose quotes are closed; got {text!r}")


def _read(part: str, text: str) -> tuple[str, str, Any]:
    """The name of a field, the class that is named with it, and its value."""
    if match := _SIZE.fullmatch(part):
        return "max_bytes", "", int(Decimal(match[1]) * _BYTES[match[2]])
    if part == "any age":
        return "max_age_s", "", None
    if match := _AGE.fullmatch(part):
        return "max_age_s", "", float(match[1]) * _SECONDS[match[2]]
    if match := _SAID.fullmatch(part):
        name, label, value = match[1], match[2], match[3]
        if (label is None) == (name == "exits of"):
            name = ""
        if name == "never" and (never := _unquoted(value)):
            return "never_store", never, True
        if name == "never above" and _NUMBER.fullmatch(value):
            return "never_above", "", float(value)
        if name == "exits of" and value in _EXITS_SAID and (of := _unquoted(label)):
            return "classes", of, _EXITS_SAID[value]
        if name == "exits" and value in _EXITS_SAID:
            return "exits", "", _EXITS_SAID[value]
        if name in ("offloads", "audits", "crop") and value in _FLAGS:
            return name, "", _FLAGS[value]
    raise ConfigError(f'expected an archive rule such as "{EXAMPLE}"; got {part!r} in {text!r}')


def _quoted(label: str) -> str:
    return label if _BARE.fullmatch(label) else json.dumps(label)


def _unquoted(text: str) -> str:
    """A class as it stands in the text; "" where it is none."""
    if _BARE.fullmatch(text):
        return text
    try:
        label = json.loads(text)
    except ValueError:
        return ""
    return label if isinstance(label, str) else ""


def _number_text(number: int) -> str:
    """Bytes in the largest unit in which three decimals say them exactly."""
    units = reversed(_BYTES.items())
    name, unit = next((name, unit) for name, unit in units if number >= unit and number * 1000 % unit == 0)
    return f"{Decimal(number) / unit:f}{name}"


def _age_text(seconds: float) -> str:
    """Seconds in the largest unit of which they are a whole number."""
    for name, unit in reversed(_SECONDS.items()):
        if seconds % unit == 0:
            count = int(seconds // unit)
            return f"{count} {name}{'' if count == 1 else 's'}"
    return f"{seconds!r} seconds"
