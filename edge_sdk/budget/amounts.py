"""Amounts of what is budgeted, in words for people."""

from __future__ import annotations

from collections.abc import Callable

from rich.filesize import decimal

from edge_sdk.budget.limits import Resource
from edge_sdk.budget.usage import BudgetState


def macs_text(macs: float) -> str:
    """A count of multiply-accumulates for people: "1.24 GMAC"."""
    for unit in ("", "k", "M", "G", "T", "P"):
        if macs < 999.5 or unit == "P":
            break
        macs /= 1000
    return f"{macs:.3g} {unit}MAC"


def period_text(seconds: float) -> str:
    """A budget's period for people: "day", "3 h"."""
    for size, name in ((86400.0, "day"), (3600.0, "h"), (60.0, "min"), (1.0, "s")):
        if seconds >= size:
            count = seconds / size
            return name if count == 1 else f"{count:g} {name}"
    return f"{seconds:g} s"


def joules_text(microjoules: float) -> str:
    """An energy for people: "1.2 kJ"."""
    joules = microjoules / 1e6
    return f"{joules / 1000:.3g} kJ" if joules >= 999.5 else f"{joules:.3g} J"


_AMOUNT_TEXT: dict[Resource, Callable[[int], str]] = {
    Resource.UPLOAD: decimal,
    Resource.FRAMES: "{} frames".format,
    Resource.COMPUTE: macs_text,
    Resource.CLOUD: macs_text,
    Resource.ENERGY: joules_text,
}


def amount_text(resource: Resource, amount: int) -> str:
    """An amount in the resource's unit, for people: "412 kB"."""
    return _AMOUNT_TEXT[resource](amount)


def budget_text(state: BudgetState) -> str:
    """A budget's state for people: "412 kB of 5 MB/day"."""
    budget = state.budget
    spent, limit = (amount_text(budget.resource, amount) for amount in (state.spent, budget.limit))
    return f"{spent} of {limit}/{period_text(budget.period_s)}"
