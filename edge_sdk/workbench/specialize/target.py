"""Targets for the cost of a specialist: `params=10x`, `macs=4x`, `latency_ms=2.5`, `latency=3x`, `size=500kB`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from edge_sdk.errors import WorkbenchError

MEASURES = ("params", "macs", "latency_ms", "latency", "size")
_UNITS = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9}
_FORM = "params=10x, params=1.2M, macs=4x, macs=50M, latency=3x, latency_ms=2.5, size=8x, size=500kB"


@dataclass(frozen=True, slots=True)
class Target:
    """One limit.

    Attributes:
        measure: one of `MEASURES`; "latency" is relative, "latency_ms" absolute.
        value: the limit: weights, multiply-accumulates, milliseconds or bytes; or the factor by which it must shrink.
        relative: whether `value` is such a factor.
    """

    measure: str
    value: float
    relative: bool

    def limit(self, whole: float) -> float:
        """The limit, where the uncompressed model has `whole`."""
        return whole / self.value if self.relative else self.value

    def __str__(self) -> str:
        """The target as a user writes it."""
        unit = "x" if self.relative else "B" * (self.measure == "size")
        return f"{self.measure}={self.value:.15g}{unit}"


def parse_targets(texts: Sequence[str]) -> tuple[Target, ...]:
    """Read targets, each alone or several with commas; all must hold. No texts are no targets.

    Raises:
        WorkbenchError: a text that is not a target, a measure named twice, or a factor of 1 or less.
    """
    found: dict[str, Target] = {}
    for text in ",".join(texts).split(",") if texts else ():
        match = re.fullmatch(r"\s*(\w+)\s*=\s*(\d+(?:\.\d+)?)\s*(x|[kMG]?B?)\s*", text, re.ASCII)
        if match is None or match[1] not in MEASURES:
            raise WorkbenchError(f"expected a target such as {_FORM}; got {text.strip()!r}")
        measure, number, unit = match[1], float(match[2]), match[3]
        relative = unit == "x"
        wrong = (
            (measure == "latency") != relative
            if measure.startswith("latency")
            else not relative and (unit.endswith("B") != (measure == "size"))
        )
        if wrong or (measure == "latency_ms" and unit):
            raise WorkbenchError(f"expected a target such as {_FORM}; got {text.strip()!r}")
        value = number if relative else number * _UNITS[unit.removesuffix("B")]
        if value <= (1 if relative else 0):
            raise WorkbenchError(f"expected a target that makes the model smaller; got {text.strip()!r}")
        kind = measure.removesuffix("_ms")
        if kind in found:
            raise WorkbenchError(f"expected one target for {kind}; got {found[kind]} and {text.strip()}")
        found[kind] = Target(measure, value, relative)
    return tuple(found.values())
