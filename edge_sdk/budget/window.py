"""A sliding window: the amounts charged in the last period, in time slots, never underestimated.

A cap per calendar day lets twice the limit through around midnight: all of it at 23:59 and all of it again at 00:00. A
token bucket that refills at limit/period does the same: the full bucket at once, then a period's refill. A limit that
holds in *every* window of the period needs the history of the period.

The history is kept in slots of period/256. A slot's charge leaves the window only when the whole slot is older than the
period, so no window exceeds the limit. The cost is a delay of at most period/256.
"""

from __future__ import annotations

import math
from collections import deque

from edge_sdk.budget.limits import Budget

SLOTS = 256
"""Time slots per period."""


class SlidingWindow:
    """The charges of the last period against a budget. Times are nanoseconds on a clock that never runs backwards.

    Args:
        budget: what is allowed in every window.
    """

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.limit = budget.limit
        self.period_ns = math.ceil(budget.period_s * 1e9)
        self._slot_ns = -(-self.period_ns // SLOTS)
        self._slots: deque[list[int]] = deque()  # [slot number, amount], oldest first
        self._total = 0

    def spent(self, now_ns: int) -> int:
        """The amount that counts against the limit at `now_ns`."""
        oldest = now_ns // self._slot_ns - SLOTS
        while self._slots and self._slots[0][0] < oldest:
            self._total -= self._slots.popleft()[1]
        return self._total

    def fits(self, amount: int, now_ns: int) -> bool:
        """Whether `amount` more can be charged at `now_ns`."""
        return self.spent(now_ns) + amount <= self.limit

    def charge(self, amount: int, now_ns: int) -> None:
        """Count `amount` at `now_ns`, whether it fits or not; times must not decrease from call to call."""
        slot = now_ns // self._slot_ns
        if self._slots and self._slots[-1][0] >= slot:
            self._slots[-1][1] += amount
        else:
            self._slots.append([slot, amount])
        self._total += amount

    def wait_ns(self, amount: int, now_ns: int) -> int | None:
        """Nanoseconds from `now_ns` until `amount` fits if nothing else is charged; 0 if now, None if never."""
        if amount > self.limit:
            return None
        excess = self.spent(now_ns) + amount - self.limit
        if excess <= 0:
            return 0
        for slot, charged in self._slots:
            excess -= charged
            if excess <= 0:
                return (slot + SLOTS + 1) * self._slot_ns - now_ns
        raise AssertionError("the slots hold less than their total")  # pragma: no cover
