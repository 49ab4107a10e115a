"""A budget: a hard limit on an amount (bytes, frames, compute, energy) in every window of a period."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from edge_sdk.errors import ConfigError

MAX_PERIOD_S = 31 * 86_400.0
"""The longest period a budget may have, in seconds: the ledger keeps its history for this long."""

MAX_LIMIT = 2**62
"""The highest limit: amounts are kept as 64-bit integers."""

_DECIMAL = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15}
_BINARY = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50}
_PERIODS_S = {"s": 1, "min": 60, "h": 3_600, "day": 86_400, "week": 604_800, "month": 2_592_000}
_PERIOD_WORDS = {
    "s": ("s", "sec", "second", "seconds"),
    "min": ("min", "mins", "minute", "minutes"),
    "h": ("h", "hr", "hour", "hours"),
    "day": ("d", "day", "days"),
    "week": ("week", "weeks"),
    "month": ("month", "months"),
}
_PERIOD_BY_WORD = {word: _PERIODS_S[name] for name, words in _PERIOD_WORDS.items() for word in words}
_ADVERBS = {"secondly": "s", "hourly": "h", "daily": "day", "weekly": "week", "monthly": "month"}
_NUMBER = r"\d{1,18}(?:\.\d{1,18})?"
_UNIT = "B|bytes?|frames?|MACs?|J|joules?"
_PERIOD = rf"(?:/|\s+per\s|\s+(?={'|'.join(_ADVERBS)})|\s+(?:an?|every)\s)\s*({_NUMBER})?\s*([A-Za-z]+)"
_BUDGET = re.compile(rf"({_NUMBER})\s*([kKMGTP]?|[KMGTP]i)({_UNIT})\s*{_PERIOD}", re.ASCII)
_NEARLY = re.compile(rf"({_NUMBER})\s*([KMGTP]?)(i?)({_UNIT}|)\s*(?:{_PERIOD})?", re.ASCII | re.IGNORECASE)


class Resource(StrEnum):
    """What a budget limits."""

    UPLOAD = "upload"
    """Bytes that leave the device."""
    FRAMES = "frames"
    """Frames sent to the cloud."""
    COMPUTE = "compute"
    """Multiply-accumulates run on the device."""
    CLOUD = "cloud"
    """Multiply-accumulates run by the big model in the cloud."""
    ENERGY = "energy"
    """Microjoules that the device spends, by its `PowerModel`."""


_UNITS = {
    Resource.UPLOAD: "B",
    Resource.FRAMES: "frames",
    Resource.COMPUTE: "MAC",
    Resource.CLOUD: "MAC",
    Resource.ENERGY: "J",
}
_WORDS = {
    Resource.UPLOAD: "B|bytes?",
    Resource.FRAMES: "frames?",
    Resource.COMPUTE: "MACs?",
    Resource.CLOUD: "MACs?",
    Resource.ENERGY: "J|joules?",
}
_FORMS = {
    Resource.UPLOAD: "5MB/day",
    Resource.FRAMES: "200 frames/day",
    Resource.COMPUTE: "2GMAC/s",
    Resource.CLOUD: "10TMAC/day",
    Resource.ENERGY: "3kJ/h",
}


@dataclass(frozen=True, slots=True)
class Budget:
    """At most `limit` in every window of `period_s` seconds, wherever the window begins.

    Attributes:
        limit: the amount in the resource's unit, at least 0. 0 allows nothing.
        period_s: length of the window in seconds, above 0, at most 31 days.
        resource: what is limited.

    Raises:
        ConfigError: a value is out of range.
    """

    limit: int
    period_s: float
    resource: Resource = Resource.UPLOAD

    def __post_init__(self) -> None:
        if not 0 <= self.limit <= MAX_LIMIT:
            raise ConfigError(f"expected a budget's limit from 0 to {MAX_LIMIT}; got {self.limit}")
        if not (math.isfinite(self.period_s) and 0 < self.period_s <= MAX_PERIOD_S):
            raise ConfigError(f"expected a budget's period above 0 and at most 31 days; got {self.period_s:g} s")

    def describe(self) -> str:
        """The budget in words that `parse_budget` reads back exactly, such as "5 MB/day"."""
        unit = _UNITS[self.resource]
        limit = Decimal(self.limit) / (10**6 if self.resource is Resource.ENERGY else 1)
        prefix = next((name for name in reversed(_DECIMAL) if _DECIMAL[name] <= limit), "")
        name = next((name for name in reversed(_PERIODS_S) if self.period_s % _PERIODS_S[name] == 0), "s")
        count = Decimal(repr(self.period_s)) / _PERIODS_S[name]
        period = name if count == 1 else f"{_plain(count)} {name}"
        return f"{_plain(limit / _DECIMAL[prefix])} {prefix}{unit}/{period}"


def parse_budget(text: str, *resources: Resource) -> Budget:
    """Read one budget from text. Its unit tells which of `resources` it limits.

    "5MB/day", "2 MiB/h", "15GB/month", "500kB/10min": bytes. "200 frames/day": frames. "2GMAC/s", "500 GMACs/h":
    multiply-accumulates, of the device or the cloud. "3kJ/h": energy. Prefixes k, M, G, T, P are decimal, Ki, Mi, Gi,
    Ti, Pi binary. Periods are s, min, h, day, week (7 days) and month (30 days), with a number before them if wanted.

    Args:
        text: the budget in words.
        resources: those allowed. Default: all; MACs then limit the device.

    Raises:
        ConfigError: `text` has another form, such as bits ("5Mb").
    """
    wanted = resources or tuple(Resource)
    forms = " or ".join(dict.fromkeys(f'"{_FORMS[resource]}"' for resource in wanted))
    match = _BUDGET.fullmatch(text.strip())
    found = next((one for one in wanted if match and re.fullmatch(_WORDS[one], match[3])), None)
    period_s = _period_s(match[5]) if match else None
    if match is None or found is None or period_s is None:
        raise ConfigError(
            f"expected a budget such as {forms}, per s, min, h, day, week or month; got {text!r}{_hint(text, wanted)}"
        )
    prefix = "k" if match[2] == "K" else match[2]
    limit = Decimal(match[1]) * (_DECIMAL | _BINARY)[prefix] * (10**6 if found is Resource.ENERGY else 1)
    if limit and limit < 1:
        raise ConfigError(f"expected a budget of 0 or at least 1 in its unit; got {text!r}")
    try:
        return Budget(int(limit), float(Decimal(match[4] or 1) * period_s), found)
    except ConfigError as error:
        raise ConfigError(f"{error}, from {text!r}") from None


def parse_budgets(given: str | Budget | Iterable[str | Budget] | None, *resources: Resource) -> tuple[Budget, ...]:
    """Read budgets, separated by commas in text: "5MB/day, 100MB/month, 200 frames/day".

    Args:
        given: text, a `Budget`, or several of both; None: no budget.
        resources: those allowed; none: all.

    Raises:
        ConfigError: one of them cannot be read, or limits another resource.
    """
    if given is None:
        return ()
    if isinstance(given, int | float | Decimal):
        wanted = resources or tuple(Resource)
        raise ConfigError(
            f"expected a budget in words, with its unit and period; got the number {given!r}"
            f"{_hint(f'{Decimal(given):f}', wanted) or f'; write it such as {_FORMS[wanted[0]]!r}'}"
        )
    if isinstance(given, str):
        return tuple(parse_budget(part, *resources) for part in given.split(","))
    if not isinstance(given, Budget):
        if not isinstance(given, Iterable) or isinstance(given, bytes):
            raise ConfigError(
                f"expected a budget in words, such as {_FORMS[(resources or tuple(Resource))[0]]!r}; got {given!r}"
            )
        return tuple(budget for part in given for budget in parse_budgets(part, *resources))
    if resources and given.resource not in resources:
        raise ConfigError(f"expected a budget of {' or '.join(resources)}; got one of {given.resource}")
    return (given,)


def _period_s(word: str) -> int | None:
    lower = word.lower()
    return _PERIOD_BY_WORD.get(_ADVERBS.get(lower, lower))


def _hint(text: str, wanted: tuple[Resource, ...]) -> str:
    """What was probably meant: the unit's usual spelling, a day where no period was given."""
    match = _NEARLY.fullmatch(text.strip())
    if match is None or (match[6] is not None and _period_s(match[6]) is None):
        return ""
    unit = match[4].lower()
    found = next((one for one in wanted if not unit or re.fullmatch(_WORDS[one], unit, re.IGNORECASE)), None)
    if found is None:
        return ""
    prefix = match[2].upper()
    scale = (_BINARY[f"{prefix}i"] if match[3] and prefix else (_DECIMAL | {"K": 1000})[prefix]) * (
        10**6 if found is Resource.ENERGY else 1
    )
    period_s = Decimal(match[5] or 1) * (_period_s(match[6]) or 86_400) if match[6] else Decimal(86_400)
    try:
        meant = Budget(int(Decimal(match[1]) * scale), float(period_s), found).describe()
    except ConfigError:
        return ""
    return f'; did you mean "{meant if found is Resource.FRAMES else meant.replace(" ", "", 1)}"?'


def _plain(value: Decimal) -> str:
    """`value` without exponent and trailing zeros."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
