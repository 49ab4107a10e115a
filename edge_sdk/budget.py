"""A budget: a hard limit on an amount (bytes sent, multiply-accumulates run) in every window of a period."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from decimal import Decimal

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
_NUMBER = r"\d{1,18}(?:\.\d{1,18})?"
_UPLOAD = re.compile(rf"({_NUMBER})\s*([kKMGTP]?|[KMGTP]i)(?:B|bytes?)\s*/\s*({_NUMBER})?\s*([a-z]+)", re.ASCII)
_COMPUTE = re.compile(rf"({_NUMBER})\s*([kKMGTP]?|[KMGTP]i)MACs?\s*/\s*({_NUMBER})?\s*([a-z]+)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Budget:
    """At most `limit` in every window of `period_s` seconds, wherever the window begins.

    Attributes:
        limit: the amount, at least 0: bytes for an upload budget, MACs for a compute budget. 0 allows nothing.
        period_s: length of the window in seconds, above 0, at most 31 days.

    Raises:
        ConfigError: a value is out of range.
    """

    limit: int
    period_s: float

    def __post_init__(self) -> None:
        if not 0 <= self.limit <= MAX_LIMIT:
            raise ConfigError(f"expected a budget's limit from 0 to {MAX_LIMIT}; got {self.limit}")
        if not (math.isfinite(self.period_s) and 0 < self.period_s <= MAX_PERIOD_S):
            raise ConfigError(f"expected a budget's period above 0 and at most 31 days; got {self.period_s:g} s")

    def describe(self, unit: str = "B") -> str:
        """The budget in words that the parsers read back exactly, such as "5 MB/day"; `unit` is "B" or "MAC"."""
        prefix = next((name for name in reversed(_DECIMAL) if _DECIMAL[name] <= self.limit), "")
        name = next((name for name in reversed(_PERIODS_S) if self.period_s % _PERIODS_S[name] == 0), "s")
        count = Decimal(repr(self.period_s)) / _PERIODS_S[name]
        period = name if count == 1 else f"{_plain(count)} {name}"
        return f"{_plain(Decimal(self.limit) / _DECIMAL[prefix])} {prefix}{unit}/{period}"


def parse_upload_budget(text: str) -> Budget:
    """The budget that `text` names, in bytes: "5MB/day", "2 MiB/h", "15GB/month", "500kB/10min".

    Prefixes k, M, G, T, P are decimal, Ki, Mi, Gi, Ti, Pi binary. Periods are s, min, h, day, week (7 days) and
    month (30 days), with a number before them if wanted.

    Raises:
        ConfigError: `text` is none of these; bits ("5Mb") are refused too.
    """
    return _parse(text, _UPLOAD, 'such as "5MB/day", "2 MiB/h", "15GB/month" or "500kB/10min" (B: bytes)')


def parse_compute_budget(text: str) -> Budget:
    """The budget that `text` names, in multiply-accumulates: "2GMAC/s", "500 GMACs/h", "10TMAC/day".

    Prefixes and periods are those of `parse_upload_budget`.

    Raises:
        ConfigError: `text` is none of these.
    """
    return _parse(text, _COMPUTE, 'such as "2GMAC/s", "500 GMACs/h" or "10TMAC/day"')


def _parse(text: str, pattern: re.Pattern[str], forms: str) -> Budget:
    match = pattern.fullmatch(text.strip())
    if match is None or match[4] not in _PERIOD_BY_WORD:
        raise ConfigError(f"expected a budget {forms}, per s, min, h, day, week or month; got {text!r}")
    prefix = "k" if match[2] == "K" else match[2]
    limit = Decimal(match[1]) * (_DECIMAL | _BINARY)[prefix]
    if limit and limit < 1:
        raise ConfigError(f"expected a budget of 0 or at least 1 in its unit; got {text!r}")
    try:
        return Budget(limit=int(limit), period_s=float(Decimal(match[3] or 1) * _PERIOD_BY_WORD[match[4]]))
    except ConfigError as error:
        raise ConfigError(f"{error}, from {text!r}") from None


def _plain(value: Decimal) -> str:
    """`value` without exponent and trailing zeros."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
