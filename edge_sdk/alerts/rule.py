"""A rule: on what an alert is sent, how often at most, and when not."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

from edge_sdk.alerts.alert import Kind
from edge_sdk.alerts.quiet import QuietHours
from edge_sdk.errors import ConfigError
from edge_sdk.types import Answer

_RATE = re.compile(r"(\d{1,6})\s*(?:/|\s+per\s)\s*(\d{1,4})?\s*(s|min|h|day|week)", re.ASCII)
_PERIODS_S = {"s": 1.0, "min": 60.0, "h": 3_600.0, "day": 86_400.0, "week": 604_800.0}
_NAME = re.compile(r"[\w .:+-]{1,64}")


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `count` in every window of `period_s` seconds, wherever it begins."""

    count: int
    period_s: float

    @classmethod
    def parse(cls, text: str) -> Rate:
        """Read "5/h", "1/10min" or "20 per day".

        Raises:
            ConfigError: it is no such text, or a number is 0.
        """
        match = _RATE.fullmatch(text.strip())
        if match is None or int(match[1]) == 0 or int(match[2] or 1) == 0:
            raise ConfigError(f'expected a rate such as "5/h", "1/10min" or "20/day"; got {text!r}')
        return cls(int(match[1]), int(match[2] or 1) * _PERIODS_S[match[3]])


@dataclass(frozen=True, slots=True)
class AlertRule:
    """On what an alert is sent.

    Attributes:
        classes: of class alerts: the classes; empty: every class.
        min_confidence: of class alerts: least confidence of the answer, in [0, 1].
        kinds: "class", "fault", "budget", "drift", "audit".
        at_most: most alerts in every window of a period, such as "5/h" or "1/10min"; None: no limit. A repeat of what
            lasts (a fault, a budget) is none: it is told once when it begins and once when it ends.
        quiet: hours of the day, in local time, at which nothing is sent, such as "22:00-06:30". What lasts and still
            holds at their end is told then; a class alert is not made up for.
        provisional: of class alerts: tell the device's answer although the cloud's is still to come. False: each
            frame's last word alone.
        name: stands in the alert; "": made of the classes or kinds. Names of the rules of one `Alerts` differ.

    Raises:
        ConfigError: a value is not as described.
    """

    classes: tuple[str, ...] = ()
    min_confidence: float = 0.0
    kinds: tuple[Kind, ...] = (Kind.CLASS,)
    at_most: str | None = None
    quiet: str | None = None
    provisional: bool = False
    name: str = ""

    def __post_init__(self) -> None:
        for field in ("classes", "kinds"):
            value = getattr(self, field)
            if isinstance(value, str) or not isinstance(value, Iterable):
                raise ConfigError(f'expected AlertRule.{field} as a list of texts, such as ["fox"]; got {value!r}')
        object.__setattr__(self, "classes", tuple(self.classes))
        if not all(isinstance(one, str) and one for one in self.classes):
            raise ConfigError(f"expected AlertRule.classes as names of classes; got {self.classes!r}")
        try:
            object.__setattr__(self, "kinds", tuple(Kind(one) for one in self.kinds))
        except ValueError:
            raise ConfigError(
                f"expected AlertRule.kinds of {', '.join(one for one in Kind if one is not Kind.TEST)}; "
                f"got {self.kinds!r}"
            ) from None
        if not self.kinds:
            raise ConfigError("expected AlertRule.kinds to name one kind at least; got none")
        least = self.min_confidence
        if isinstance(least, bool) or not isinstance(least, int | float) or not 0 <= least <= 1 or math.isnan(least):
            raise ConfigError(f"expected AlertRule.min_confidence from 0 to 1; got {least!r}")
        if not self.name:
            shown = self.classes if self.kinds == (Kind.CLASS,) and self.classes else self.kinds
            object.__setattr__(self, "name", re.sub(r"[^\w .:+-]", "_", "+".join(shown))[:64])
        if not _NAME.fullmatch(self.name):
            raise ConfigError(f"expected AlertRule.name of at most 64 letters, digits and . : + -; got {self.name!r}")
        _ = self.rate, self.quiet_hours  # a text that cannot be read is refused here

    @property
    def rate(self) -> Rate | None:
        """`at_most` as a value."""
        return None if self.at_most is None else Rate.parse(self.at_most)

    @property
    def quiet_hours(self) -> QuietHours:
        """`quiet` as a value."""
        return QuietHours() if self.quiet is None else QuietHours.parse(self.quiet)

    def names(self, answer: Answer) -> bool:
        """Whether an answer is of the kind and class that the rule asks for, sure enough."""
        return (
            Kind.CLASS in self.kinds
            and answer.label is not None
            and (not self.classes or answer.label in self.classes)
            and answer.confidence >= self.min_confidence
            and (answer.stands or self.provisional)
        )
