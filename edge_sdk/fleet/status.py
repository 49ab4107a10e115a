"""What a device did and spent, and how it is, as the wire carries it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from edge_sdk.budget.limits import MAX_LIMIT, MAX_PERIOD_S, Budget, Resource
from edge_sdk.budget.usage import COUNTERS, BudgetState, Usage
from edge_sdk.fleet.columns import MOST_COUNT, MalformedReport
from edge_sdk.fleet.health import LONGEST_NAME, MOST_MEASURES, Health
from edge_sdk.fleet.remote import HeldSettings
from edge_sdk.fleet.words import WordList, word_of
from edge_sdk.terminal.line import one_line
from edge_sdk.wire import offload_pb2 as wire

MOST_REFUSED = 8
MOST_BUDGETS = 4
LONGEST_REASON = 200
_DISK_STEP = 1_000_000
_MOST = (1 << 63) - 1


def pack_usage(usage: Usage, waiting: int) -> wire.ReportedUsage:
    """The counters, how many frames wait for the cloud, and what is spent of the budgets of bytes."""
    uploads = [one for one in usage.budgets if one.budget.resource is Resource.UPLOAD and one.budget.period_s >= 1]
    budgets = [
        wire.ReportedBudget(limit=one.budget.limit, spent=one.spent, period_s=round(one.budget.period_s))
        for one in uploads[:MOST_BUDGETS]
    ]
    return wire.ReportedUsage(waiting=waiting, budgets=budgets, **{name: getattr(usage, name) for name in COUNTERS})


def unpack_usage(came: wire.ReportedUsage) -> tuple[Usage, int]:
    """Of which `pack_usage` made it; counters beyond 63 bits are brought down to them. Of budgets, those of bytes."""
    budgets = tuple(
        BudgetState(Budget(min(one.limit, MAX_LIMIT), float(one.period_s)), min(one.spent, _MOST))
        for one in came.budgets[:MOST_BUDGETS]
        if 1 <= one.period_s <= MAX_PERIOD_S
    )
    counters = {name: min(getattr(came, name), _MOST) for name in COUNTERS}
    return Usage(**counters, budgets=budgets), min(came.waiting, MOST_COUNT)


def pack_held(held: HeldSettings) -> wire.HeldSettings:
    """Which signed settings hold, as the server is told of them: kinds that do not, with the reason of one."""
    reasons = [f"{kind}: {reason}" for kind, reason in held.refused.items()]
    return wire.HeldSettings(
        takes=held.takes,
        version=held.version,
        refused=list(held.refused)[:MOST_REFUSED],
        reason=one_line(held.reason or "; ".join(reasons), LONGEST_REASON) if held.reason or reasons else "",
    )


def unpack_held(came: wire.HeldSettings) -> HeldSettings:
    """Of which `pack_held` made it; the kinds that do not hold have no reasons of their own."""
    refused = {one_line(kind, 40): "" for kind in came.refused[:MOST_REFUSED]}
    reason = one_line(came.reason, LONGEST_REASON)
    return HeldSettings(takes=came.takes, version=min(came.version, _MOST), refused=refused, reason=reason)


def pack_health(health: Health, words: WordList) -> wire.ReportedHealth:
    """The health; new words are put to the list. Free disk is told in whole megabytes, temperature in degrees."""
    return wire.ReportedHealth(
        sdk=words.number_of(health.sdk),
        python=words.number_of(health.python),
        bundle=words.number_of(health.bundle),
        celsius=None if health.celsius is None else round(health.celsius),
        throttled=health.throttled,
        disk_free=None if health.disk_free is None else health.disk_free // _DISK_STEP * _DISK_STEP,
        clock_unset=health.clock_unset,
        own_names=[words.number_of(name) for name in health.own],
        own_values=list(health.own.values()),
    )


def unpack_health(came: wire.ReportedHealth, words: Sequence[str]) -> Health:
    """Of which `pack_health` made it.

    Args:
        came: as it came.
        words: all of the device's list.

    Raises:
        MalformedReport: it is not as the wire says.
    """
    if len(came.own_names) != len(came.own_values) or len(came.own_names) > MOST_MEASURES:
        raise MalformedReport(
            f"expected at most {MOST_MEASURES} measures, each a name and a value; got {len(came.own_names)} names and "
            f"{len(came.own_values)} values"
        )
    measures = zip(came.own_names, came.own_values, strict=True)
    return Health(
        sdk=word_of(words, came.sdk),
        python=word_of(words, came.python),
        bundle=word_of(words, came.bundle),
        celsius=float(came.celsius) if came.HasField("celsius") else None,
        throttled=came.throttled if came.HasField("throttled") else None,
        disk_free=min(came.disk_free, _MOST) if came.HasField("disk_free") else None,
        clock_unset=came.clock_unset,
        own={_measure_name(words, name): value for name, value in measures if name and math.isfinite(value)},
    )


def _measure_name(words: Sequence[str], number: int) -> str:
    return one_line(word_of(words, number), LONGEST_NAME)
